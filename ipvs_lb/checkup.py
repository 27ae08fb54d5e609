"""Gathers the facts that the doctor looks at, from every edge; nothing on the machine is changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ipvs_lb import hostplan
from ipvs_lb.doctor import Daemon, Facts, Route, StateDirectory
from ipvs_lb.errors import HostError, KernelError, LBError, StoreError
from ipvs_lb.model.config import Config
from ipvs_lb.model.desired import Owned
from ipvs_lb.model.host import HostState, InterfaceAddress, Vip
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.table import Statistics
from ipvs_lb.ports import Host, Kernel
from ipvs_lb.wiring import Gateway, open_gateway

_MOST_ROUTES = 2000
_GENERAL = (
    *hostplan.SYSCTLS,
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "net.ipv4.vs.run_estimation",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Whom to look at: the configuration if there is one, where state is, what the daemon says on its *socket*.

    `probe`: ask the links who has the VIPs.
    """

    config: Config | None
    config_path: Path
    state_dir: Path
    socket: Path
    daemon: Daemon = field(default_factory=Daemon)
    probe: bool = False


def examine(patient: Patient) -> Facts:
    """The facts of this gateway, in the network namespace this process is in."""
    from ipvs_lb.machine import sockets, system

    there, loaded = system.modules()
    with open_gateway(patient.state_dir) as gateway:
        owned, state = _state(gateway, system.state_directory(patient.state_dir))
        facts = Facts(
            config=patient.config,
            config_path=str(patient.config_path),
            now=time.time(),
            owned=owned,
            state=state,
            modules=there,
            loaded=loaded,
            listeners=sockets.listeners(),
            managers=system.managers(),
            file_limit=system.file_limit(sockets.process_behind(patient.socket)),
            clock_is_set=system.clock_is_set(),
            daemon=patient.daemon,
        )
        facts = _with_table(facts, gateway.kernel)
        for look in (_with_host, _with_routes) + ((_with_answers,) if patient.probe else ()):
            facts = _as_far_as_possible(look, facts, gateway.host)
        return facts


def _as_far_as_possible(look: Callable[[Facts, Host], Facts], facts: Facts, host: Host) -> Facts:
    try:
        return look(facts, host)
    except HostError as error:
        return replace(facts, not_seen=(*facts.not_seen, _told(error)))


def _told(error: LBError) -> str:
    return f"not looked at: {error}"


def _state(gateway: Gateway, directory: StateDirectory) -> tuple[Owned, StateDirectory]:
    try:
        owned, kept = gateway.store.owned(), gateway.store.generations()
    except StoreError as error:
        return Owned(), replace(directory, problems=(*directory.problems, str(error)))
    return owned, replace(
        directory,
        problems=(*directory.problems, *gateway.store.warnings),
        newest=kept[-1].created if kept else None,
    )


def _with_table(facts: Facts, kernel: Kernel) -> Facts:
    try:
        table, statistics = kernel.read(), kernel.statistics()
        size = kernel.info().connection_table_size
    except KernelError as error:
        return replace(facts, ipvs_error=(str(error), error.hint or "modprobe ip_vs"))
    return replace(facts, table=table, table_size=size, connections=_connections(statistics))


def _connections(statistics: Statistics) -> int:
    return sum(
        server.active + server.inactive
        for service in statistics.values()
        for server in service.servers.values()
    )


def _with_host(facts: Facts, host: Host) -> Facts:
    state = host.read((), firewall=False)
    wanted = hostplan.answer_sysctls(facts.config, state) if facts.config else ()
    redirects = [
        f"net.ipv4.conf.{name.replace('.', '/')}.send_redirects"
        for name in (hostplan.ALL_INTERFACES, *state.interfaces)
    ]
    asked = host.read((*_GENERAL, *wanted, *redirects), links=False, firewall=False)
    return replace(facts, host=replace(state, sysctls=asked.sysctls, kernel=asked.kernel))


def _with_routes(facts: Facts, _: Host) -> Facts:
    from ipvs_lb.addresses.routes import ways

    found = ways(_servers(facts)[:_MOST_ROUTES])
    routes = {
        address: None
        if way is None
        else Route(interface=way.interface, router=way.router, mtu=way.mtu, is_local=way.is_local)
        for address, way in found.to.items()
    }
    return replace(facts, routes=routes, down=found.down)


def _servers(facts: Facts) -> list[IPAddress]:
    services = facts.config.services if facts.config else ()
    return list(dict.fromkeys(server.address for one in services for server in one.servers))


def _with_answers(facts: Facts, host: Host) -> Facts:
    """Who answers for the VIPs, and which hardware addresses the servers on the same links have."""
    vips = [vip for one in (facts.config.services if facts.config else ()) for vip in one.vips]
    places = _places(vips, facts.host)
    on = {place.interface for place in places}
    neighbours = [
        InterfaceAddress(route.interface, address, address.max_prefixlen)
        for address, route in _direct(facts.routes)
        if route.interface in on
    ]
    return replace(facts, answers=host.probe_duplicates([*places, *neighbours], wait=0.5))


def _places(vips: list[Vip], state: HostState) -> list[InterfaceAddress]:
    missing = hostplan.homeless(vips, state)
    placed = hostplan.place([vip for vip in vips if vip not in missing], state)
    return [one.place for one in placed if one.place.interface != hostplan.LOOPBACK]


def _direct(routes: Mapping[IPAddress, Route | None]) -> Iterable[tuple[IPAddress, Route]]:
    for address, route in routes.items():
        if route is not None and route.router is None and not route.is_local:
            yield address, route
