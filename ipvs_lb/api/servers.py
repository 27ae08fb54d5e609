"""Servers as JSON values. Pure.

A service at a time, with as few look-ups per server as possible: twenty thousand are shown at once, and hashing an
address costs more than everything else here. Servers in plain good health are not explained unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ipvs_lb.api.checks import check_to_json, last_error_to_json
from ipvs_lb.api.scene import EVERYTHING, NO_COUNTERS, Scene, Shown
from ipvs_lb.api.states import State, state_of
from ipvs_lb.explain import Explanation, Hearing
from ipvs_lb.health import NEW, Health, Status
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import AgentMode
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import Servers
from ipvs_lb.overrides import Override
from ipvs_lb.policy import Layout, Member, Rule, Ruling, Seat, ServiceDecision
from ipvs_lb.policy.standing import verdict
from ipvs_lb.serial import JSON, server_counters_to_json, server_to_json

_ORDERED = frozenset({Rule.FORCED_UP, Rule.FORCED_DOWN, Rule.SET_WEIGHT, Rule.DRAIN})
_AGENTS = {Rule.AGENT_MAINT: AgentMode.MAINT, Rule.AGENT_DRAIN: AgentMode.DRAIN}
_NO_COUNTERS: dict[str, JSON] = {
    "active_connections": None,
    "inactive_connections": None,
    "persistent_connections": None,
    "traffic": None,
}
OVERTAKEN = "what led to this has just changed, and it is being decided anew"
_NOT_DECLARED = "it is in the kernel, but not in this configuration"

Object = dict[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One decided service of a scene."""

    scene: Scene
    layout: Layout
    decision: ServiceDecision
    service: str
    in_kernel: Servers
    hearing: Hearing
    counted: Mapping[ServerKey, ServerCounters] | None

    @property
    def is_as_wanted(self) -> bool:
        """The kernel has the very servers that were decided."""
        return self.in_kernel is self.decision.virtual.servers


def servers_to_json(
    scene: Scene, key: ServiceKey, shown: Shown = EVERYTHING
) -> Iterator[Object | None]:
    """The servers of one service that are *shown*, None for each that is not."""
    if key in scene.snapshot.decision.services:
        place = _place(scene, key)
        for ruling, seat in _pairs(place):
            is_shown = shown.is_everything or shown.has(ruling.member, state_of(ruling))
            yield _server(place, ruling, seat) if is_shown else None
        return
    for server in sorted(scene.foreign[key].servers, key=ServerKey.order):
        is_shown = shown.has(Member(key, server), State.FOREIGN)
        yield _foreign(scene, key, server) if is_shown else None


def explanations_to_json(scene: Scene, shown: Shown) -> Iterator[Object | None]:
    """The servers that are *shown*, each with the reasons for its state, what would change it, and its checks.

    None for each that is not.
    """
    for key in shown.of(scene.snapshot.decision.services):
        place = _place(scene, key)
        for ruling, seat in _pairs(place):
            is_shown = shown.has(ruling.member, state_of(ruling))
            yield _explained(place, ruling, seat) if is_shown else None
    for key in shown.of(scene.foreign):
        for server in filter(None, servers_to_json(scene, key, shown)):
            yield {
                "server": server,
                "state": f"in with weight {server['weight']}",
                "why": [_NOT_DECLARED],
                "change": ["declare it, or `ipvs-lb apply --prune` removes it"],
                "checks": [],
            }


def _place(scene: Scene, key: ServiceKey) -> _Place:
    snapshot = scene.snapshot
    decision, layout = snapshot.decision.services[key], snapshot.layouts[key]
    return _Place(
        scene=scene,
        layout=layout,
        decision=decision,
        service=str(key),
        in_kernel=scene.kernel_servers(key),
        counted=scene.counted(key),
        hearing=Hearing(
            layout=layout, decision=decision, inputs=scene.inputs, results=scene.results
        ),
    )


def _pairs(place: _Place) -> Iterator[tuple[Ruling, Seat | None]]:
    """Every ruling with its seat, None: declared no more.

    Rulings follow the declaration, but right after a reload that of before.
    """
    rulings, seats = place.decision.rulings, place.layout.seats
    by_member = None
    for index, ruling in enumerate(rulings):
        seat = seats[index] if index < len(seats) else None
        if seat is None or seat.member is not ruling.member:
            by_member = by_member or {seat.member: seat for seat in seats}
            seat = by_member.get(ruling.member)
        yield ruling, seat


def _explained(place: _Place, ruling: Ruling, seat: Seat | None) -> Object:
    scene = place.scene
    told = _told(place, ruling, seat)
    probes = () if seat is None else seat.probes
    return {
        "server": _server(place, ruling, seat),
        "state": told.state,
        "why": [*told.why],
        "change": [*told.change],
        "checks": [check_to_json(scene.snapshot, probe) for probe in probes],
    }


def _server(place: _Place, ruling: Ruling, seat: Seat | None) -> Object:
    scene, member = place.scene, ruling.member
    probes = () if seat is None else seat.probes
    found = [scene.snapshot.probes.get(probe) for probe in probes]
    health = [NEW if view is None else view.health for view in found]
    override = _override(scene, member)
    settings = _settings(place, member) if seat is None else seat.settings
    return {
        "service": place.service,
        "service_name": place.layout.declared.name,
        "name": ruling.name,
        **server_to_json(member.server, settings),
        "weight": ruling.weight,
        "full_weight": ruling.rest,
        "kernel_weight": _kernel_weight(place, ruling),
        "tier": ruling.tier,
        "state": str(state_of(ruling)),
        "health": _health_word(place, ruling, health),
        "rule": str(ruling.rule),
        "why": _why(place, ruling, seat),
        "since": _since(place, ruling, health, override),
        "until": ruling.until,
        "override": None if override is None else override_to_json(override),
        "last_error": last_error_to_json(view for view in found if view is not None),
        **_counters(place.counted, member.server),
    }


def _foreign(scene: Scene, key: ServiceKey, server: ServerKey) -> Object:
    settings = scene.foreign[key].servers[server]
    return {
        "service": str(key),
        "service_name": None,
        "name": None,
        **server_to_json(server, settings),
        "full_weight": None,
        "kernel_weight": settings.weight,
        "tier": None,
        "state": State.FOREIGN.value,
        "health": "unchecked",
        "rule": None,
        "why": [_NOT_DECLARED],
        "since": None,
        "until": None,
        "override": None,
        "last_error": None,
        **_counters(scene.counted(key), server),
    }


def _health(scene: Scene, probe: Probe) -> Health:
    view = scene.snapshot.probes.get(probe)
    return NEW if view is None else view.health


def _override(scene: Scene, member: Member) -> Override | None:
    overrides = scene.snapshot.overrides
    return overrides.get(member) if overrides else None


def _settings(place: _Place, member: Member) -> Server:
    """What is set on a server that is declared no more, as far as any table still has it."""
    tables = (place.decision.virtual.servers, place.in_kernel)
    found = (servers[member.server] for servers in tables if member.server in servers)
    return next(found, Server())


def _kernel_weight(place: _Place, ruling: Ruling) -> int | None:
    if place.is_as_wanted:
        return ruling.weight
    server = place.in_kernel.get(ruling.member.server)
    return None if server is None else server.weight


def _counters(counted: Mapping[ServerKey, ServerCounters] | None, server: ServerKey) -> Object:
    if counted is None:
        return _NO_COUNTERS
    return server_counters_to_json(counted.get(server, NO_COUNTERS))


def _why(place: _Place, ruling: Ruling, seat: Seat | None) -> list[str]:
    if ruling.rule is Rule.HEALTHY or ruling.rule is Rule.UNCHECKED:
        return []
    return [*_told(place, ruling, seat).why]


def _told(place: _Place, ruling: Ruling, seat: Seat | None) -> Explanation:
    if _is_overtaken(place, ruling, seat):
        state = "out" if ruling.weight is None else f"in with weight {ruling.weight}"
        return Explanation(state=state, why=(OVERTAKEN,), change=())
    return place.hearing.explain(ruling, () if seat is None else seat.probes)


def _is_overtaken(place: _Place, ruling: Ruling, seat: Seat | None) -> bool:
    """Whether what led to *ruling* is not there any more, because the next decision is still to be made."""
    if ruling.rule is Rule.REMOVED:
        return False
    if seat is None or ruling.rule in _ORDERED:
        return seat is None or ruling.member not in place.scene.snapshot.overrides
    if ruling.rule in _AGENTS:
        modes = {_health(place.scene, probe).reported.mode for probe in seat.probes}
        return _AGENTS[ruling.rule] not in modes
    return ruling.rule is Rule.DAMPED and place.layout.declared.policy.flap_damping is None


def _health_word(place: _Place, ruling: Ruling, health: Sequence[Health]) -> str:
    if not health:
        return "unchecked"
    if ruling.rule is Rule.HEALTHY:
        return "up"
    return str(verdict(health, place.layout.declared.policy.required))


def _since(
    place: _Place, ruling: Ruling, health: Sequence[Health], override: Override | None
) -> float | None:
    if override is not None and ruling.rule in _ORDERED:
        return override.since
    drains = place.decision.memory.drains
    drain = drains.get(ruling.member.server) if drains else None
    if drain is not None:
        return drain.since
    known = [one.since for one in health if one.status is not Status.UNKNOWN]
    return max(known) if known else None


def override_to_json(override: Override) -> Object:
    """A standing order."""
    return {
        "action": override.action.value,
        "weight": override.weight,
        "since": override.since,
        "expires": override.expires,
        "reason": override.reason,
        "who": override.who,
    }
