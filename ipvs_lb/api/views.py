"""The gateway and its services as JSON values. Pure.

Services come one at a time, so that the event loop can do other work in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ipvs_lb import __version__
from ipvs_lb.api.health import health_to_json, vip_words
from ipvs_lb.api.long_list import LongList
from ipvs_lb.api.scene import EVERYTHING, Scene, Shown
from ipvs_lb.api.servers import servers_to_json
from ipvs_lb.api.states import State, state_of
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import ServiceStatistics, VirtualService
from ipvs_lb.policy import Member, ServiceDecision, VipRuling
from ipvs_lb.serial import (
    JSON,
    counters_to_json,
    daemon_to_json,
    key_to_json,
    service_to_json,
    summary_to_json,
    timeouts_to_json,
)

STATUS_SCHEMA = "ipvs_lb/status/1"

Object = dict[str, JSON]


def overview_to_json(scene: Scene) -> Object:
    """The gateway without its services."""
    snapshot = scene.snapshot
    kernel, generation = snapshot.kernel, snapshot.generation
    daemons = kernel.daemons if kernel is not None else None
    timeouts = kernel.timeouts if kernel is not None else None
    return {
        "schema": STATUS_SCHEMA,
        "source": "daemon",
        "version": __version__,
        "at": snapshot.at,
        "started": snapshot.started,
        "origin": snapshot.origin,
        "health": health_to_json(snapshot),
        "config_error": [*snapshot.config_error],
        "last_event": snapshot.last_event,
        "kernel": {
            "ipvs_version": None,
            "connection_table_size": None,
            "error": snapshot.kernel_error or scene.trouble,
            "reconciled": snapshot.reconciled,
            "drifted": snapshot.drifted,
        },
        "generation": None if generation is None else summary_to_json(generation),
        "timeouts": None if timeouts is None else timeouts_to_json(timeouts),
        "sync_daemons": [daemon_to_json(daemon) for daemon in (daemons or {}).values()],
        "vips": [_vip_to_json(scene, vip) for vip in snapshot.decision.vips.values()],
    }


def services_to_json(scene: Scene, shown: Shown = EVERYTHING) -> Iterator[LongList | None]:
    """Every service with the servers that are *shown*; None for services of which none is."""
    for key in shown.of((*scene.snapshot.decision.services, *scene.foreign)):
        if shown.is_everything or _shows(scene, key, shown):
            servers = servers_to_json(scene, key, shown)
            yield LongList(_service_to_json(scene, key), "servers", servers)
        else:
            yield None


def summaries_to_json(scene: Scene, shown: Shown = EVERYTHING) -> Iterator[Object | None]:
    """Every service of which a server is *shown*, without its servers; None for the others."""
    for key in shown.of((*scene.snapshot.decision.services, *scene.foreign)):
        is_shown = shown.is_everything or _shows(scene, key, shown)
        yield _service_to_json(scene, key) if is_shown else None


def _shows(scene: Scene, key: ServiceKey, shown: Shown) -> bool:
    decision = scene.snapshot.decision.services.get(key)
    if decision is None:
        servers = scene.foreign[key].servers
        return any(shown.has(Member(key, server), State.FOREIGN) for server in servers)
    return any(shown.has(ruling.member, state_of(ruling)) for ruling in decision.rulings)


def _service_to_json(scene: Scene, key: ServiceKey) -> Object:
    decision = scene.snapshot.decision.services.get(key)
    own = (
        _foreign_to_json(scene.foreign[key])
        if decision is None
        else _decided_to_json(scene, decision)
    )
    return {**key_to_json(key), **own, "traffic": _traffic(scene, key)}


def _decided_to_json(scene: Scene, decision: ServiceDecision) -> Object:
    snapshot, key = scene.snapshot, decision.key
    generation = snapshot.generation
    states = Counter([state_of(ruling).value for ruling in decision.rulings])
    return {
        "name": snapshot.layouts[key].declared.name,
        "owner": "ours",
        "generation": None if generation is None else generation.number,
        **service_to_json(decision.virtual.service),
        "in_kernel": None if snapshot.kernel is None else key in snapshot.kernel.services,
        "serves": decision.serves,
        "tier": decision.tier,
        "healthy": decision.healthy,
        "counted": decision.counted,
        "live": decision.live,
        "panicking": decision.panicking,
        "quorum_lost": decision.quorum_lost,
        "states": {**states},
    }


def _foreign_to_json(virtual: VirtualService) -> Object:
    return {
        "name": None,
        "owner": "foreign",
        "generation": None,
        **service_to_json(virtual.service),
        "in_kernel": True,
        "serves": any(server.weight for server in virtual.servers.values()),
        "tier": None,
        "healthy": None,
        "counted": None,
        "live": None,
        "panicking": False,
        "quorum_lost": False,
        "states": {State.FOREIGN.value: len(virtual.servers)} if virtual.servers else {},
    }


def _traffic(scene: Scene, key: ServiceKey) -> JSON:
    if scene.statistics is None:
        return None
    return counters_to_json(scene.statistics.get(key, ServiceStatistics()).traffic)


def _vip_to_json(scene: Scene, vip: VipRuling) -> Object:
    return {
        "address": str(vip.address),
        "up": vip.is_up,
        "because": [str(key) for key in vip.because],
        "why": [*vip_words(scene.snapshot, vip)],
    }
