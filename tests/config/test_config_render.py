"""A live table as a configuration, and back."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipvs_lb.config import loads, render
from ipvs_lb.model.identity import (
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
from ipvs_lb.policy import effective
from tests.strategies import tables as any_tables

ipv4 = st.integers(0x0A000001, 0x0AFFFFFF).map(IPv4Address)
ipv6 = st.integers(0x20010DB8 << 96, (0x20010DB9 << 96) - 1).map(IPv6Address)
ports = st.integers(1, 65535).map(Port)
marks = st.integers(1, 2**32 - 1)
thresholds = st.integers(0, 2**32 - 1)
daemon_seconds = st.integers(1, 2**31 // 1000)
interfaces = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"),
    min_size=1,
    max_size=15,
).filter(lambda name: name not in {".", ".."})
tunnels = st.one_of(
    st.just(Tunnel()),
    st.builds(Tunnel, st.just(TunnelType.GUE), ports, st.sampled_from(TunnelChecksum)),
    st.builds(
        Tunnel,
        st.just(TunnelType.GRE),
        st.just(Port(0)),
        st.sampled_from([TunnelChecksum.NONE, TunnelChecksum.CSUM]),
    ),
)
flags = st.integers(0, 7).map(SchedulerFlags)


@st.composite
def keys(draw: st.DrawFn) -> ServiceKey:
    if draw(st.booleans()):
        return FwmarkKey(draw(marks), draw(st.sampled_from(Family)))
    protocol = draw(st.sampled_from(IPProtocol))
    return AddressKey(protocol, draw(ipv4 | ipv6), draw(ports | st.just(Port(0))))


@st.composite
def services(draw: st.DrawFn, key: ServiceKey) -> Service:
    granularity = (
        st.integers(0, 2**32 - 1).map(IPv4Address)
        if key.family is Family.IPV4
        else st.integers(1, 128).map(PrefixLength)
    )
    persistence = st.builds(Persistence, st.integers(1, 31 * 86400), granularity)
    is_udp = isinstance(key, FwmarkKey) or key.protocol is IPProtocol.UDP
    needed = isinstance(key, AddressKey) and not key.port
    chosen = draw(persistence if needed else st.none() | persistence)
    return Service(
        scheduler=draw(st.sampled_from(sorted(SCHEDULERS))),
        flags=draw(flags),
        persistence=chosen,
        persistence_engine=draw(st.sampled_from([None, "sip"])) if chosen and is_udp else None,
        one_packet=is_udp and draw(st.booleans()),
    )


@st.composite
def servers(draw: st.DrawFn, key: ServiceKey, mixed: bool) -> tuple[ServerKey, Server]:
    forwarding = draw(
        st.sampled_from([Forwarding.MASQ, Forwarding.DR, Forwarding.TUNNEL, Forwarding.LOCAL])
    )
    own = ipv4 if key.family is Family.IPV4 else ipv6
    is_free = forwarding is Forwarding.TUNNEL and mixed
    address: IPAddress = draw(ipv4 | ipv6 if is_free else own)
    service_port = key.port if isinstance(key, AddressKey) else Port(0)
    port = draw(ports) if forwarding is Forwarding.MASQ and draw(st.booleans()) else service_port
    lower, upper = sorted([draw(thresholds), draw(thresholds)])
    return ServerKey(address, port), Server(
        forwarding=forwarding,
        weight=draw(st.integers(0, 65535)),
        upper_threshold=upper,
        lower_threshold=lower,
        tunnel=draw(tunnels) if forwarding is Forwarding.TUNNEL else None,
    )


@st.composite
def daemons(draw: st.DrawFn, role: SyncRole) -> SyncDaemon:
    return SyncDaemon(
        role=role,
        interface=draw(interfaces),
        sync_id=draw(st.integers(0, 255)),
        max_length=draw(st.just(0) | st.integers(1024, 65507)),
        group=draw(
            st.none()
            | st.integers(0xE0000001, 0xEFFFFFFF).map(IPv4Address)
            | st.integers(0xFF02 << 112, (0xFF03 << 112) - 1).map(IPv6Address)
        ),
        port=draw(ports | st.just(Port(0))),
        ttl=draw(st.integers(0, 255)),
    )


@st.composite
def tables(draw: st.DrawFn) -> Table:
    roles = draw(st.sets(st.sampled_from(SyncRole)))
    chosen = draw(st.lists(keys(), max_size=4, unique=True))
    mixed = not roles
    return Table(
        {
            key: VirtualService(
                draw(services(key)), dict(draw(st.lists(servers(key, mixed), max_size=4)))
            )
            for key in chosen
        },
        draw(
            st.none()
            | st.builds(Timeouts, tcp=daemon_seconds, tcp_fin=daemon_seconds, udp=daemon_seconds)
        ),
        {role: draw(daemons(role)) for role in sorted(roles)} or None,
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_a_rendered_table_means_itself(table: Table) -> None:
    config = loads(render(table), environ={})
    assert effective(config) == table
    assert not any(vip.managed for service in config.services for vip in service.vips)
    assert not any(server.checks for service in config.services for server in service.servers)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(any_tables())
def test_any_table_renders_to_a_configuration_that_loads(table: Table) -> None:
    """What is not left out means itself."""
    means = effective(loads(render(table), environ={}))
    assert means.services.items() <= table.services.items()
    assert means.timeouts in {None, table.timeouts}


KEY = AddressKey(IPProtocol.TCP, IPv4Address("10.0.0.16"), Port(80))
WEB = VirtualService(
    Service(scheduler="rr"), {ServerKey(IPv4Address("10.0.0.4"), Port(80)): Server(weight=3)}
)


def test_a_rendered_table_reads_well() -> None:
    table = Table({KEY: WEB}, Timeouts(tcp=900, tcp_fin=120, udp=300))
    assert render(table, comment="Exported.\n\nBy hand.") == (
        "# Exported.\n"
        "#\n"
        "# By hand.\n"
        "version: 1\n"
        "timeouts: {tcp: 900s, tcp_fin: 120s, udp: 300s}\n"
        "services:\n"
        '  - name: "tcp-10.0.0.16:80"\n'
        "    vip: {address: 10.0.0.16, managed: no}\n"
        "    port: 80\n"
        "    protocol: tcp\n"
        "    scheduler: rr\n"
        "    servers:\n"
        "      - {address: 10.0.0.4, forwarding: masq, weight: 3}\n"
    )


def test_an_empty_table_renders_to_an_empty_configuration() -> None:
    assert effective(loads(render(Table()))) == Table()


def test_what_a_configuration_cannot_say_is_left_out_with_the_reason() -> None:
    odd = replace(WEB, service=Service(scheduler="myown"))
    bypass = replace(
        WEB, servers={key: Server(forwarding=Forwarding.BYPASS) for key in WEB.servers}
    )
    keys = [replace(KEY, port=Port(port)) for port in (80, 81, 82)]
    table = Table(
        dict(zip(keys, (odd, WEB, bypass), strict=True)),
        daemons={SyncRole.MASTER: SyncDaemon(role=SyncRole.MASTER, interface="a b")},
    )
    text = render(table)
    assert effective(loads(text)) == Table({keys[1]: WEB})
    assert '# left out: sync.0.interface: "a b" is not an interface name' in text
    assert '  # left out: services.0.scheduler: unknown scheduler "myown"' in text
    assert (
        '  # left out: services.2.servers.0.forwarding: unknown forwarding method "bypass"' in text
    )


def test_a_table_of_nothing_but_the_unspeakable_renders_to_comments() -> None:
    text = render(Table({KEY: replace(WEB, service=Service(scheduler="myown"))}))
    assert loads(text).services == ()
