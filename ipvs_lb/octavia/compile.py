"""From a load balancer's objects to the declared services of the model, in one pure function.

What is disabled or being deleted is left out. A listener without a pool is a virtual service without servers: its port
answers to nobody. Every address of the load balancer, floating ones included, has its own virtual services.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPV4LENGTH, IPv4Address, IPv4Network, ip_address

from ipvs_lb.model.checks import (
    HealthCheck,
    HttpCheck,
    Method,
    PingCheck,
    SctpCheck,
    TcpCheck,
    Tls,
    TlsCheck,
    UdpCheck,
)
from ipvs_lb.model.config import DeclaredServer, DeclaredService
from ipvs_lb.model.firewall import canonical
from ipvs_lb.model.host import SourceNat, Vip
from ipvs_lb.model.identity import AddressKey, IPAddress, IPProtocol, Port
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Service,
)
from ipvs_lb.octavia.catalogue import Tree
from ipvs_lb.octavia.fields import prefix_of
from ipvs_lb.octavia.objects import (
    DEFAULT_PERSISTENCE_TIMEOUT,
    Algorithm,
    AnyObject,
    HealthMonitor,
    Listener,
    Member,
    Pool,
    Provisioning,
    SessionPersistence,
)
from ipvs_lb.octavia.rules import TRANSPORTS

ORIGIN = "octavia:"
OTHER = ":other-version"
_IPV6_BITS = 128
_SHORTEST_DELAY = 1.0
_SHORTEST_TIMEOUT = 0.1
_LONGEST = 86400.0
_FLAGS = SCHEDULER_FLAGS["sh"]


def declared(
    tree: Tree, vips: Sequence[Vip], *, source_nat: SourceNat = SourceNat.OFF
) -> tuple[DeclaredService, ...]:
    """The services that *tree* comes to on *vips*, its own addresses and the floating ones that lead to them."""
    if not is_wanted(tree.load_balancer):
        return ()
    return tuple(
        _service(tree, listener, of_family, source_nat)
        for listener in tree.listeners
        if is_wanted(listener)
        for of_family in _by_family(vips)
    )


def _by_family(vips: Sequence[Vip]) -> Iterable[Sequence[Vip]]:
    """*vips* of each IP version: servers are reached by masquerading, which keeps the version."""
    main = vips[0].address.version
    same = [vip for vip in vips if vip.address.version == main]
    other = [vip for vip in vips if vip.address.version != main]
    return (same, other) if other else (same,)


def is_wanted(thing: AnyObject) -> bool:
    """Whether *thing* is to be in force: enabled, and not on its way out."""
    return thing.admin_state_up and thing.provisioning is not Provisioning.PENDING_DELETE


def _service(
    tree: Tree, listener: Listener, vips: Sequence[Vip], source_nat: SourceNat
) -> DeclaredService:
    protocol = IPProtocol[TRANSPORTS[listener.protocol]]
    port, version = Port(listener.protocol_port), vips[0].address.version
    pool = next((one for one in tree.pools if one.id == listener.default_pool_id), None)
    if pool is not None and not is_wanted(pool):
        pool = None
    members = [] if pool is None else [one for one in tree.members[pool.id] if is_wanted(one)]
    members = [one for one in members if one.address.version == version]
    monitor = None if pool is None else tree.monitors.get(pool.id)
    checks = monitor if monitor is not None and is_wanted(monitor) else None
    return DeclaredService(
        name=name_of(listener, is_main=version == tree.load_balancer.vip.address.version),
        keys=tuple(AddressKey(protocol, vip.address, port) for vip in vips),
        service=_settings(pool, members, [vip.address for vip in vips]),
        servers=tuple(_server(member, listener, checks) for member in members),
        vips=tuple(vips),
        source_nat=source_nat,
        allow=canonical(listener.allowed_cidrs or ()),
        origin=f"{ORIGIN}{tree.load_balancer.id}",
    )


def keys_of(listener: Listener, addresses: Iterable[IPAddress]) -> list[AddressKey]:
    """The virtual services of *listener* on *addresses*."""
    protocol, port = IPProtocol[TRANSPORTS[listener.protocol]], Port(listener.protocol_port)
    return [AddressKey(protocol, address, port) for address in addresses]


def is_compiled(declared: DeclaredService) -> bool:
    """Whether *declared* comes from a load balancer, not from the configuration's files."""
    return declared.origin.startswith(ORIGIN)


def name_of(listener: Listener, *, is_main: bool = True) -> str:
    """What the virtual services of *listener* are called: names of listeners need not differ, identifiers do.

    Those of another IP version than the main VIP's have a name of their own.
    """
    return f"{ORIGIN}{listener.id}" + ("" if is_main else OTHER)


def _settings(pool: Pool | None, members: Sequence[Member], vips: Sequence[IPAddress]) -> Service:
    if pool is None:
        return Service(scheduler="rr")
    scheduler, flags = _scheduler(pool.lb_algorithm, members)
    return Service(
        scheduler=scheduler, flags=flags, persistence=_persistence(pool.session_persistence, vips)
    )


def _scheduler(algorithm: Algorithm, members: Iterable[Member]) -> tuple[str, SchedulerFlags]:
    match algorithm:
        case Algorithm.ROUND_ROBIN:
            weights = {member.weight for member in members if member.weight}
            return ("wrr" if len(weights) > 1 else "rr"), SchedulerFlags.NONE
        case Algorithm.LEAST_CONNECTIONS:
            return "wlc", SchedulerFlags.NONE
        case Algorithm.SOURCE_IP:
            return "sh", _FLAGS["sh-fallback"]
        case Algorithm.SOURCE_IP_PORT:
            return "sh", _FLAGS["sh-fallback"] | _FLAGS["sh-port"]


def _persistence(
    wanted: SessionPersistence | None, vips: Sequence[IPAddress]
) -> Persistence | None:
    if wanted is None:
        return None
    timeout = DEFAULT_PERSISTENCE_TIMEOUT if wanted.timeout is None else wanted.timeout
    return Persistence(timeout, _granularity(wanted.granularity, vips))


def _granularity(given: str | None, vips: Sequence[IPAddress]) -> IPv4Address | PrefixLength:
    """What one client is, in the family of the VIPs; where it was said for the other family, an address."""
    wanted = _IPV6_BITS if given is None else _prefix(given)
    if any(vip.version == 6 for vip in vips):  # noqa: PLR2004  # IP versions
        is_ours = given is None or "." not in given
        return PrefixLength(wanted if is_ours else _IPV6_BITS)
    is_ours = given is not None and ":" not in given
    length = min(wanted, IPV4LENGTH) if is_ours else IPV4LENGTH
    return IPv4Network((0, length)).netmask


def _prefix(given: str) -> int:
    return int(given) if given.isdigit() else prefix_of(ip_address(given)) or _IPV6_BITS


def _server(member: Member, listener: Listener, monitor: HealthMonitor | None) -> DeclaredServer:
    return DeclaredServer(
        name=member.id,
        address=member.address,
        port=Port(member.protocol_port),
        weight=member.weight,
        upper_threshold=max(listener.connection_limit, 0),
        tier=1 if member.backup else 0,
        checks=() if monitor is None else (_check(monitor, member),),
    )


def _check(monitor: HealthMonitor, member: Member) -> HealthCheck:
    """Every probe a `delay` after the last, as the API means it: there is no faster pace."""
    interval = min(max(float(monitor.delay), _SHORTEST_DELAY), _LONGEST)
    return HealthCheck(
        method=_method(monitor),
        interval=interval,
        fast_interval=interval,
        timeout=min(max(float(monitor.timeout), _SHORTEST_TIMEOUT), _LONGEST),
        rise=monitor.max_retries,
        fall=monitor.max_retries_down,
        address=member.monitor_address,
        port=None if member.monitor_port is None else Port(member.monitor_port),
    )


def _method(monitor: HealthMonitor) -> Method:
    match monitor.type:
        case "HTTP":
            return _http(monitor, None)
        case "HTTPS":
            return _http(monitor, Tls())
        case "PING":
            return PingCheck()
        case "TLS-HELLO":
            return TlsCheck()
        case "UDP-CONNECT":
            return UdpCheck()
        case "SCTP":
            return SctpCheck()
        case _:
            return TcpCheck()


def _http(monitor: HealthMonitor, tls: Tls | None) -> HttpCheck:
    return HttpCheck(
        method=monitor.http_method or "GET",
        path=monitor.url_path or "/",
        host=monitor.domain_name,
        http_version=f"{monitor.http_version or 1.0:.1f}",
        expect_codes=_codes(monitor.expected_codes or "200"),
        tls=tls,
    )


def _codes(text: str) -> tuple[tuple[int, int], ...]:
    if "-" in text:
        first, last = map(int, text.split("-"))
        return ((min(first, last), max(first, last)),)
    return tuple((code, code) for code in sorted({int(code) for code in text.split(",")}))
