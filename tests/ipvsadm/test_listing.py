"""Listings as `ipvsadm -L` prints them; netns_tests/test_ipvsadm.py lays them beside the original's."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings

from ipvs_lb.commands import AddServer, AddService, DeleteServer, Flush, StartDaemon
from ipvs_lb.ipvsadm import connections
from ipvs_lb.ipvsadm.complaints import complaint
from ipvs_lb.ipvsadm.listing import render, render_daemons, render_timeouts
from ipvs_lb.ipvsadm.order import sort
from ipvs_lb.ipvsadm.parse import parse
from ipvs_lb.ipvsadm.request import Columns, List
from ipvs_lb.ipvsadm.save import render as save
from ipvs_lb.ipvsadm.usage import VERSION, usage
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
)
from ipvs_lb.model.settings import (
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
from ipvs_lb.model.table import (
    KernelInfo,
    ServiceStatistics,
    Statistics,
    Table,
    VirtualService,
    only,
)
from tests import strategies
from tests.ipvsadm.names import Directory

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
WEB6 = AddressKey(IPProtocol.UDP, ip_address("2001:db8:1111:2222:3333:4444:5555:6666"), Port(443))
MARK6 = FwmarkKey(2**32 - 1, Family.IPV6)
A, B = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 6))
C = ServerKey(ip_address("2001:db8:1111:2222:3333:4444:5555:4"), Port(0))
GUE = Tunnel(TunnelType.GUE, Port(6080), TunnelChecksum.REMCSUM)
TABLE = Table(
    {
        WEB: VirtualService(
            Service(
                scheduler="mh",
                flags=SchedulerFlags.FLAG_2,
                persistence=Persistence(300, IPv4Address("255.255.255.0")),
                persistence_engine="sip",
            ),
            {
                A: Server(weight=3, upper_threshold=9, lower_threshold=4),
                B: Server(forwarding=Forwarding.TUNNEL, tunnel=GUE),
            },
        ),
        WEB6: VirtualService(
            Service(scheduler="rr", persistence=Persistence(60, PrefixLength(64)), one_packet=True),
            {A: Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel(TunnelType.GRE))},
        ),
        MARK6: VirtualService(
            Service(scheduler="rr", persistence=Persistence(60, PrefixLength(128))),
            {C: Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel())},
        ),
    }
)
TRAFFIC = Counters(
    connections=1,
    in_packets=99_999_999,
    out_packets=123_456_789,
    in_bytes=12_345_678_901,
    out_bytes=1_234_567_890_123_456,
    connection_rate=1,
    in_packet_rate=2,
    out_packet_rate=3,
    in_byte_rate=12_345_678_901_234,
    out_byte_rate=5,
)
COUNTED: Statistics = {
    WEB: ServiceStatistics(
        TRAFFIC, {A: ServerCounters(active=5, inactive=6, persistent=7, traffic=TRAFFIC)}
    )
}
INFO = KernelInfo((1, 2, 1), 4096)
LISTINGS = Path(__file__).with_name("listings.txt").read_text().removeprefix("### ").split("\n### ")


@pytest.mark.parametrize("section", [pytest.param(s, id=s.split("\n")[0]) for s in LISTINGS])
def test_a_listing_has_every_column_in_its_place(section: str) -> None:
    """A `$` marks the end of a line that ends with a blank."""
    arguments, _, expected = section.partition("\n")
    request = parse(arguments.split())
    assert isinstance(request, List)
    text = render(request, TABLE, COUNTED, info=INFO)
    assert text.replace(" \n", " $\n").rstrip("\n") == expected.rstrip("\n")


def test_names_are_cut_where_ipvsadm_cuts_them() -> None:
    names = Directory(
        hosts={"a-host-with-a-rather-long-name.test": "10.0.0.16", "s.test": "10.0.0.4"},
        services={"http": 80},
    )
    table = Table({WEB: VirtualService(Service(scheduler="rr"), {A: Server()})})
    assert render(List(), table, {}, names=names).splitlines()[2:] == [
        "TCP  a-host-with-a-rather-long-na rr",
        "  -> s.test:http                  Masq    1      0          0         ",
    ]
    assert save(table, names) == (
        "-A -t a-host-with-a-rather-long-name.test:http -s rr\n"
        "-a -t a-host-with-a-rather-long-name.test:http -r s.test:http -m -w 1\n"
    )


def test_a_number_beyond_all_units_is_as_long_as_it_is() -> None:
    counted: Statistics = {WEB: ServiceStatistics(Counters(connections=2**64 - 1))}
    line = render(List(columns=Columns.STATS), only(TABLE, [WEB]), counted).splitlines()[2]
    assert line.startswith("TCP  10.0.0.16:80                18446744T        0 ")


def test_settings_of_the_whole_are_one_line_each() -> None:
    bare = SyncDaemon(role=SyncRole.BACKUP, interface="eth1")
    full = SyncDaemon(
        role=SyncRole.MASTER,
        interface="eth0",
        sync_id=5,
        max_length=1460,
        group=ip_address("224.0.0.81"),
        port=Port(8848),
        ttl=1,
    )
    assert render_daemons({full.role: full, bare.role: bare}) == (
        "master sync daemon (mcast=eth0, syncid=5, maxlen=1460, group=224.0.0.81, port=8848, ttl=1)\n"
        "backup sync daemon (mcast=eth1, syncid=0)\n"
    )
    timeouts = Timeouts(tcp=900, tcp_fin=120, udp=300)
    assert render_timeouts(timeouts) == "Timeout (tcp tcpfin udp): 900 120 300\n"


def address(text: str) -> AddressKey:
    return AddressKey(IPProtocol.TCP, ip_address(text), Port(80))


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        (["10.0.0.2", "10.0.0.1"], ["10.0.0.1", "10.0.0.2"]),
        (["10.0.0.1", "200.0.0.1"], ["200.0.0.1", "10.0.0.1"]),
        (["fd00::1", "10.0.0.1", "::1"], ["10.0.0.1", "fd00::1", "::1"]),
        (["1.0.0.0", "100.0.0.0", "200.0.0.0"], ["1.0.0.0", "100.0.0.0", "200.0.0.0"]),
        (["200.0.0.0", "1.0.0.0", "100.0.0.0"], ["200.0.0.0", "1.0.0.0", "100.0.0.0"]),
    ],
    ids=["near", "far", "families", "in-a-circle", "in-a-circle-from-elsewhere"],
)
def test_services_stand_in_the_order_of_32_bit_differences(
    given: list[str], listed: list[str]
) -> None:
    table = Table({address(text): VirtualService(Service(scheduler="rr")) for text in given})
    assert list(sort(table).services) == [address(text) for text in listed]


def test_marks_stand_after_addresses_and_servers_of_both_families_among_each_other() -> None:
    empty = VirtualService(Service(scheduler="rr"))
    mixed = VirtualService(empty.service, {C: Server(), B: Server(), A: Server()})
    one = FwmarkKey(1, Family.IPV4)
    found = sort(Table({one: empty, MARK6: empty, WEB: mixed}))
    assert list(found.services) == [MARK6, WEB, one]
    assert list(found.services[WEB].servers) == [A, B, C]


def test_servers_between_which_there_is_no_difference_stay_as_they_stood() -> None:
    """An IPv4 address is compared with the beginning of an IPv6 address only."""
    same = ServerKey(ip_address("32.1.13.184"), C.port)
    for keys in ([same, C], [C, same]):
        virtual = VirtualService(Service(scheduler="rr"), dict.fromkeys(keys, Server()))
        listed = [*sort(Table({MARK6: virtual})).services[MARK6].servers]
        assert listed == [same, C]


@settings(max_examples=30)
@given(strategies.tables())
def test_sorting_loses_nothing(table: Table) -> None:
    assert sort(table) == table


CONNECTIONS = """\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A000001 C350 0A000010 0050 0A000004 0050 ESTABLISHED     899
TCP 0A000001 0000 0A000010 0050 0A000004 0050 ERR!            3661 sip abc@test
UDP fd00:0000:0000:0000:0000:0000:0000:0001 C350 fd00:0000:0000:0000:0000:0000:0000:0010 0035 0A000004 0035 UDP             299
IP  0A000001 0000 00000007 0000 0A000004 0000 NONE            59
broken
"""  # fmt: skip


def test_connections_are_shown_with_minutes_and_seconds() -> None:
    assert "".join(connections.render(CONNECTIONS.splitlines())) == (
        "IPVS connection entries\n"
        "pro expire state       source             virtual            destination\n"
        "TCP 14:59  ESTABLISHED 10.0.0.1:50000     10.0.0.16:80       10.0.0.4:80\n"
        "TCP 61:01  ERR!        10.0.0.1:0         10.0.0.16:80       10.0.0.4:80\n"
        "UDP 04:59  UDP         [fd00::1]:50000    [fd00::10]:53      10.0.0.4:53\n"
        "IP  00:59  NONE        10.0.0.1:0         0.0.0.7:0          10.0.0.4:0\n"
    )


def test_connections_are_shown_with_what_a_persistence_engine_knows() -> None:
    shown = list(connections.render(CONNECTIONS.splitlines(), engines=True))
    assert shown[1:4] == [
        "pro expire state       source             virtual            destination        pe name          pe_data\n",
        "TCP 14:59  ESTABLISHED 10.0.0.1:50000     10.0.0.16:80       10.0.0.4:80\n",
        "TCP 61:01  ERR!        10.0.0.1:0         10.0.0.16:80       10.0.0.4:80      sip                abc@test\n",
    ]


@pytest.mark.parametrize(
    ("code", "command", "words"),
    [
        (errno.EEXIST, AddService(WEB, Service(scheduler="rr")), "Service already exists"),
        (errno.ESRCH, AddServer(WEB, A, Server()), "Service not defined"),
        (errno.ENOENT, DeleteServer(WEB, A), "No such destination"),
        (errno.EEXIST, StartDaemon(SyncDaemon(role=SyncRole.MASTER, interface="x")), "Daemon has already run"),
        (errno.EPERM, Flush(), "Permission denied (you must be root)"),
        (errno.EPERM, None, "Permission denied (you must be root)"),
        (errno.EBUSY, Flush(), None),
    ],
)  # fmt: skip
def test_a_refusal_of_the_kernel_is_told_in_ipvsadms_words(code, command, words) -> None:
    assert complaint(code, command) == words


def test_the_help_shows_the_version_and_names_the_program() -> None:
    assert usage("my-ipvsadm").startswith(f"{VERSION}Usage:\n  my-ipvsadm -A|-E SERVICE ")
    assert VERSION.startswith("ipvsadm v1.31 ")
