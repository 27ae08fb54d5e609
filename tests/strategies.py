"""Random tables over every field, within what the model allows and a kernel accepts.

Not in here: schedulers newer than Linux 6.1, and addresses no kernel accepts for a server (multicast, broadcast,
link-local, unspecified, IPv4 mapped into IPv6).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeVar

from hypothesis import strategies as st

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    ZeroCounters,
)
from ipvs_lb.model.identity import (
    NO_PORT,
    AddressKey,
    Family,
    FwmarkKey,
    IPAddress,
    IPProtocol,
    Port,
    ServerKey,
    ServiceKey,
)
from ipvs_lb.model.settings import (
    MAX_WEIGHT,
    SCHEDULERS,
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from ipvs_lb.model.table import Table, VirtualService

Draw = st.DrawFn
T = TypeVar("T")

MAX_PERSISTENCE = 31 * 86400
MAX_TIMEOUT = 2147483  # 2**31 / HZ where HZ is largest, 1000

LOOPBACK_BROADCAST = IPv4Address("127.255.255.255")

ports = st.integers(1, 65535).map(Port)
ipv4_addresses: st.SearchStrategy[IPAddress] = st.one_of(
    st.ip_addresses(v=4, network=IPv4Network("10.0.0.0/29")),
    st.ip_addresses(v=4).filter(lambda a: 1 <= int(a) >> 24 < 224 and a != LOOPBACK_BROADCAST),
)
ipv6_addresses: st.SearchStrategy[IPAddress] = st.one_of(
    st.ip_addresses(v=6, network=IPv6Network("fd00::/125")),
    st.ip_addresses(v=6, network=IPv6Network("2000::/3")),
    st.just(IPv6Address("::1.2.3.4")),
)
marks = st.builds(FwmarkKey, st.integers(1, 2**32 - 1), st.sampled_from(Family))
schedulers = st.sampled_from(sorted(SCHEDULERS.keys() - {"twos"}))
scheduler_flags = st.integers(0, 7).map(SchedulerFlags)
weights = st.one_of(st.integers(0, 3), st.integers(0, MAX_WEIGHT))
thresholds = st.one_of(st.just(0), st.integers(0, 2**32 - 1))


def addresses(family: Family) -> st.SearchStrategy[IPAddress]:
    """Unicast addresses, often near each other."""
    return ipv4_addresses if family is Family.IPV4 else ipv6_addresses


@st.composite
def service_keys(draw: Draw) -> ServiceKey:
    if draw(st.integers(0, 3)) == 0:
        return draw(marks)
    protocol = draw(st.sampled_from(IPProtocol))
    address = draw(addresses(draw(st.sampled_from(Family))))
    return AddressKey(protocol, address, draw(st.one_of(st.just(NO_PORT), ports)))


def persistences(family: Family) -> st.SearchStrategy[Persistence]:
    timeouts = st.integers(1, MAX_PERSISTENCE)
    if family is Family.IPV6:
        return st.builds(Persistence, timeouts, st.integers(1, 128).map(PrefixLength))
    masks = st.integers(1, 32).map(lambda n: IPv4Address((1 << 32) - (1 << (32 - n))))
    return st.builds(Persistence, timeouts, masks)


@st.composite
def services(draw: Draw, key: ServiceKey) -> Service:
    """Settings that go with *key*: persistence under port 0, one-packet scheduling without TCP and SCTP."""
    is_udp = isinstance(key, FwmarkKey) or key.protocol is IPProtocol.UDP
    all_ports = isinstance(key, AddressKey) and key.port == NO_PORT
    persistent = persistences(key.family)
    persistence = draw(persistent if all_ports else st.none() | persistent)
    return Service(
        scheduler=draw(schedulers),
        flags=draw(scheduler_flags),
        persistence=persistence,
        persistence_engine=draw(st.sampled_from([None, "sip"])) if persistence and is_udp else None,
        one_packet=draw(st.booleans()) if is_udp else False,
    )


@st.composite
def tunnels(draw: Draw) -> Tunnel:
    kind = draw(st.sampled_from(TunnelType))
    checksums = {
        TunnelType.IPIP: [TunnelChecksum.NONE],
        TunnelType.GUE: list(TunnelChecksum),
        TunnelType.GRE: [TunnelChecksum.NONE, TunnelChecksum.CSUM],
    }
    port = draw(ports) if kind is TunnelType.GUE else NO_PORT
    return Tunnel(kind, port, draw(st.sampled_from(checksums[kind])))


@st.composite
def servers(draw: Draw, methods: tuple[Forwarding, ...] = ()) -> Server:
    forwarding = draw(
        st.sampled_from(methods or (Forwarding.MASQ, Forwarding.DR, Forwarding.TUNNEL))
    )
    upper = draw(thresholds)
    return Server(
        forwarding=forwarding,
        weight=draw(weights),
        upper_threshold=upper,
        lower_threshold=draw(st.integers(0, upper)),
        tunnel=draw(tunnels()) if forwarding is Forwarding.TUNNEL else None,
    )


def possible_methods(key: ServiceKey, server_key: ServerKey) -> tuple[Forwarding, ...]:
    """How *key* can reach *server_key*: another family by tunnel only, another port by masq only."""
    if server_key.family is not key.family:
        return (Forwarding.TUNNEL,)
    own = key.port if isinstance(key, AddressKey) else NO_PORT
    if server_key.port != own:
        return (Forwarding.MASQ,)
    return (Forwarding.MASQ, Forwarding.DR, Forwarding.TUNNEL)


@st.composite
def servers_of(draw: Draw, key: ServiceKey, *, mixed: bool = True) -> tuple[ServerKey, Server]:
    """A server that *key* can have: ports map by masq only, another family (*mixed*) is reached by tunnel only."""
    other = mixed and draw(st.integers(0, 4)) == 0
    server = draw(servers((Forwarding.TUNNEL,) if other else ()))
    family = key.family if not other else Family.IPV6 if key.family is Family.IPV4 else Family.IPV4
    own = key.port if isinstance(key, AddressKey) else NO_PORT
    maps = server.forwarding is Forwarding.MASQ and draw(st.booleans())
    return ServerKey(draw(addresses(family)), draw(ports) if maps else own), server


@st.composite
def virtual_services(
    draw: Draw, *, most_servers: int = 6, mixed: bool = True
) -> tuple[ServiceKey, VirtualService]:
    key = draw(service_keys())
    members = draw(st.lists(servers_of(key, mixed=mixed), max_size=most_servers))
    return key, VirtualService(draw(services(key)), dict(members))


timeouts = st.builds(
    Timeouts,
    tcp=st.integers(1, MAX_TIMEOUT),
    tcp_fin=st.integers(1, MAX_TIMEOUT),
    udp=st.integers(1, MAX_TIMEOUT),
)
multicast_groups: st.SearchStrategy[IPAddress] = st.one_of(
    st.ip_addresses(v=4, network=IPv4Network("224.0.0.0/4")),
    st.ip_addresses(v=6, network=IPv6Network("ff02::/16")),
)


interface_names = st.sampled_from(["eth0", "bond0.100", "fifteen.chars.x"])


def sync_daemons(
    role: SyncRole, interfaces: st.SearchStrategy[str] = interface_names
) -> st.SearchStrategy[SyncDaemon]:
    """Daemons of *role*; what the kernel may choose is left open now and then."""
    return st.builds(
        SyncDaemon,
        role=st.just(role),
        interface=interfaces,
        sync_id=st.integers(0, 255),
        max_length=st.just(0) | st.integers(1024, 1472),
        group=st.none() | multicast_groups,
        port=st.just(NO_PORT) | ports,
        ttl=st.just(0) | st.integers(1, 255),
    )


def tables(
    *, most_services: int = 4, most_servers: int = 6, mixed: bool = True
) -> st.SearchStrategy[Table]:
    """Whole tables, with or without timeouts and daemons."""
    return st.builds(
        Table,
        st.lists(
            virtual_services(most_servers=most_servers, mixed=mixed), max_size=most_services
        ).map(dict),
        st.none() | timeouts,
        st.none()
        | st.fixed_dictionaries({}, optional={role: sync_daemons(role) for role in SyncRole}),
    )


@st.composite
def commands(draw: Draw) -> Command:
    """Any command, on anything."""
    key, (server_key, server) = draw(service_keys().flatmap(lambda k: st.tuples(st.just(k), servers_of(k))))  # fmt: skip
    role = draw(st.sampled_from(SyncRole))
    choices: list[st.SearchStrategy[Command]] = [
        services(key).map(lambda service: AddService(key, service)),
        services(key).map(lambda service: EditService(key, service)),
        st.just(DeleteService(key)),
        st.just(AddServer(key, server_key, server)),
        st.just(EditServer(key, server_key, server)),
        st.just(DeleteServer(key, server_key)),
        timeouts.map(SetTimeouts),
        sync_daemons(role).map(StartDaemon),
        st.just(StopDaemon(role)),
        st.sampled_from([ZeroCounters(key), ZeroCounters()]),
        st.just(Flush()),
    ]
    return draw(st.one_of(choices))
