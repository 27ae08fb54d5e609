"""Services and servers as the page's rows: short, since twenty thousand of them are sent at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from ipvs_lb.api.scene import Scene, Shown, only
from ipvs_lb.api.servers import servers_to_json
from ipvs_lb.api.states import State, state_of
from ipvs_lb.api.views import overview_to_json, summaries_to_json
from ipvs_lb.engine.control import Outcome
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.policy import Member, ServiceDecision
from ipvs_lb.serial import JSON

TICKS = 20
"""Results of a server's checks that are shown."""

_EVENT = 64
"""Services that are told of in one event, so that a page can begin to show them."""

_LASTING = ("vips", "timeouts")
"""Of the overview, what is long and seldom looked at."""

_COUNTED = ("connections", "in_bytes", "out_bytes", "in_packets", "out_packets")
_TOLD = (
    "health",
    "full_weight",
    "forwarding",
    "since",
    "until",
    "override",
    "last_error",
    "why",
    "active_connections",
    "inactive_connections",
)

Object = dict[str, JSON]


@dataclass(frozen=True, slots=True)
class Sight:
    """A service that is in sight, with those of its servers that are: from *first* up to *last*, which is not."""

    key: ServiceKey
    first: int = 0
    last: int = 0


def head_to_json(scene: Scene) -> Object:
    """The gateway itself, with the VIPs that are not up."""
    overview = overview_to_json(scene)
    vips = overview["vips"]
    assert isinstance(vips, list)  # noqa: S101  # of our own making
    lost = [vip for vip in vips if isinstance(vip, dict) and not vip["up"]]
    return {**{k: v for k, v in overview.items() if k not in _LASTING}, "lost_vips": [*lost]}


def services_events(scene: Scene, keys: Sequence[ServiceKey]) -> Iterator[bytes]:
    """The services *keys* with a short row for each server, as events, in small pieces."""
    shown = Shown(keys=frozenset(keys))
    summaries = summaries_to_json(Scene(snapshot=scene.snapshot), shown)
    ordered = [*shown.of((*scene.snapshot.decision.services, *scene.foreign))]
    for number, (key, summary) in enumerate(zip(ordered, summaries, strict=True)):
        begins, ends = number % _EVENT == 0, number % _EVENT == _EVENT - 1
        yield b"event: services\ndata: [" if begins else b","
        yield to_json(summary)[:-1] + b',"servers":['
        yield from _parted(_rows(scene, key))
        yield b"]}"
        if ends or number == len(ordered) - 1:
            yield b"]\n\n"


def _parted(rows: Iterable[JSON]) -> Iterator[bytes]:
    between = b""
    for row in rows:
        yield between + to_json(row)
        between = b","


def _rows(scene: Scene, key: ServiceKey) -> Iterator[JSON]:
    """Address, name, state, rule, weight, weight in the kernel and tier of every server."""
    in_kernel = scene.kernel_servers(key)
    decision = scene.snapshot.decision.services.get(key)
    if decision is None:
        for server in sorted(in_kernel, key=ServerKey.order):
            weight = in_kernel[server].weight
            yield [str(server), None, State.FOREIGN.value, None, weight, weight, None]
        return
    as_wanted = in_kernel is decision.virtual.servers
    for ruling in decision.rulings:
        server = ruling.member.server
        found = None if as_wanted else in_kernel.get(server)
        yield [
            str(server),
            ruling.name,
            state_of(ruling).value,
            ruling.rule.value,
            ruling.weight,
            ruling.weight if as_wanted else (None if found is None else found.weight),
            ruling.tier,
        ]


def details(scene: Scene, sights: Iterable[Sight]) -> Iterator[tuple[str, Object]]:
    """What changes by itself of the services and servers in sight, each under a name of its own."""
    for sight in sights:
        key = sight.key
        if key not in scene.snapshot.decision.services and key not in scene.foreign:
            continue
        yield str(key), _totals(scene, key)
        members = _members(scene, sight)
        results = _results(scene, key, members)
        for told in filter(None, servers_to_json(scene, key, only(members))):
            where = _where(told)
            detail = {name: told[name] for name in _TOLD}
            yield f"{key} {where}", {**detail, **_rates(told), "ticks": results.get(where, "")}


def _members(scene: Scene, sight: Sight) -> list[Member]:
    decision = scene.snapshot.decision.services.get(sight.key)
    if decision is not None:
        return [one.member for one in decision.rulings[sight.first : sight.last]]
    servers = sorted(scene.foreign[sight.key].servers, key=ServerKey.order)
    return [Member(sight.key, server) for server in servers[sight.first : sight.last]]


def _where(told: Mapping[str, JSON]) -> str:
    address, port = told["address"], told["port"]
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def _rates(told: Mapping[str, JSON]) -> Object:
    traffic = told["traffic"]
    if not isinstance(traffic, dict):
        return {"rates": None}
    per_second = traffic["per_second"]
    assert isinstance(per_second, dict)  # noqa: S101  # of our own making
    return {"rates": [per_second[name] for name in _COUNTED]}


def _totals(scene: Scene, key: ServiceKey) -> Object:
    """Connections and rates of a whole service; None where they are not known."""
    counted = None if scene.statistics is None else scene.statistics.get(key)
    if counted is None:
        return {"active_connections": None, "inactive_connections": None, "rates": None}
    traffic = counted.traffic
    return {
        "active_connections": sum(server.active for server in counted.servers.values()),
        "inactive_connections": sum(server.inactive for server in counted.servers.values()),
        "rates": [
            traffic.connection_rate,
            traffic.in_byte_rate,
            traffic.out_byte_rate,
            traffic.in_packet_rate,
            traffic.out_packet_rate,
        ],
    }


def _results(scene: Scene, key: ServiceKey, members: Sequence[Member]) -> dict[str, str]:
    """The last results of the checks of *members*, a sign for each, oldest first."""
    layout = scene.snapshot.layouts.get(key)
    if layout is None:
        return {}
    meant = {member.server for member in members}
    found = {}
    for seat in layout.seats:
        if seat.member.server in meant:
            views = (scene.snapshot.probes.get(probe) for probe in seat.probes)
            outcomes = (outcome for view in views if view for outcome in view.history)
            last = sorted(outcomes, key=lambda outcome: outcome.at)[-TICKS:]
            found[str(seat.member.server)] = "".join(map(_sign, last))
    return found


def _sign(outcome: Outcome) -> str:
    """`+` passed, `-` failed, `?` a failure that is none of the server's."""
    error = outcome.result.error
    if error is None:
        return "+"
    return "-" if error.blames_server else "?"


def marks(scene: Scene, decision: ServiceDecision) -> tuple[object, ...]:
    """What the rows of a service are made from: as long as these stay the same, so do the rows."""
    layout = scene.snapshot.layouts.get(decision.key)
    return decision, layout, scene.kernel_servers(decision.key)
