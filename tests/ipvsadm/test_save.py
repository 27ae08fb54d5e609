"""Rules as `ipvsadm -Sn` prints them."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given

from ipvs_lb.ipvsadm.save import render
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
    ServiceKey,
)
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Server,
    Service,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from ipvs_lb.model.table import Table, VirtualService
from tests import strategies

RR = Service(scheduler="rr")
FLAG_1, FLAG_2, FLAG_3 = SchedulerFlags.FLAG_1, SchedulerFlags.FLAG_2, SchedulerFlags.FLAG_3
ONE_CLIENT, NET = IPv4Address("255.255.255.255"), IPv4Address("255.255.255.0")


def address_key(protocol: IPProtocol, address: str, port: int) -> AddressKey:
    return AddressKey(protocol, ip_address(address), Port(port))


WEB = address_key(IPProtocol.TCP, "10.0.0.16", 80)
WEB6 = address_key(IPProtocol.TCP, "2001:db8::16", 80)


def tunnel(kind: TunnelType, port: int = 0, checksum: int = 0) -> Server:
    settings = Tunnel(kind, Port(port), TunnelChecksum(checksum))
    return Server(forwarding=Forwarding.TUNNEL, tunnel=settings)


@pytest.mark.parametrize(
    ("key", "service", "line"),
    [
        (WEB, RR, "-A -t 10.0.0.16:80 -s rr"),
        (address_key(IPProtocol.UDP, "fd00::1", 53), RR, "-A -u [fd00::1]:53 -s rr"),
        (address_key(IPProtocol.SCTP, "::1.2.3.4", 5), RR, "-A --sctp-service [::1.2.3.4]:5 -s rr"),
        (FwmarkKey(7, Family.IPV4), RR, "-A -f 7 -s rr"),
        (FwmarkKey(2**32 - 1, Family.IPV4), RR, "-A -f 4294967295 -s rr"),
        (FwmarkKey(7, Family.IPV6), RR, "-A -f 7 -6 -s rr"),
        (
            WEB,
            Service(scheduler="wlc", persistence=Persistence(300, ONE_CLIENT)),
            "-A -t 10.0.0.16:80 -s wlc -p 300",
        ),
        (
            WEB,
            Service(scheduler="wlc", persistence=Persistence(300, NET), persistence_engine="sip"),
            "-A -t 10.0.0.16:80 -s wlc -p 300 -M 255.255.255.0 --pe sip",
        ),
        (
            WEB6,
            Service(scheduler="wlc", persistence=Persistence(300, PrefixLength(128))),
            "-A -t [2001:db8::16]:80 -s wlc -p 300",
        ),
        (
            WEB6,
            Service(scheduler="wlc", persistence=Persistence(300, PrefixLength(64))),
            "-A -t [2001:db8::16]:80 -s wlc -p 300 -M 64",
        ),
        (
            WEB,
            Service(scheduler="rr", one_packet=True, flags=FLAG_1 | FLAG_3),
            "-A -t 10.0.0.16:80 -s rr -o -b flag-1,flag-3",
        ),
        (
            WEB,
            Service(scheduler="sh", flags=FLAG_1 | FLAG_2 | FLAG_3),
            "-A -t 10.0.0.16:80 -s sh -b sh-fallback,sh-port",
        ),
        (WEB, Service(scheduler="mh", flags=FLAG_2), "-A -t 10.0.0.16:80 -s mh -b mh-port"),
        (WEB, Service(scheduler="mh", flags=FLAG_3), "-A -t 10.0.0.16:80 -s mh -b "),
    ],
)
def test_a_service_is_one_line(key: ServiceKey, service: Service, line: str) -> None:
    assert render(Table({key: VirtualService(service)})) == line + "\n"


@pytest.mark.parametrize(
    ("address", "server", "line"),
    [
        ("10.0.0.4", Server(upper_threshold=9), "10.0.0.4:80 -m -w 1"),
        ("10.0.0.4", Server(forwarding=Forwarding.DR, weight=0), "10.0.0.4:80 -g -w 0"),
        ("10.0.0.4", Server(forwarding=Forwarding.BYPASS), "10.0.0.4:80 -g -w 1"),
        ("fd00::4", tunnel(TunnelType.IPIP), "[fd00::4]:80 -i -w 1 --tun-type ipip"),
        (
            "10.0.0.4",
            tunnel(TunnelType.GUE, 6080),
            "10.0.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
        ),
        (
            "10.0.0.4",
            tunnel(TunnelType.GUE, 6080, 2),
            "10.0.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
        ),
        (
            "10.0.0.4",
            tunnel(TunnelType.GRE, 0, 1),
            "10.0.0.4:80 -i -w 1 --tun-type gre --tun-csum",
        ),
    ],
)
def test_a_server_is_one_line_under_its_service(address: str, server: Server, line: str) -> None:
    key = ServerKey(ip_address(address), Port(80))
    text = render(Table({WEB: VirtualService(RR, {key: server})}))
    assert text == f"-A -t 10.0.0.16:80 -s rr\n-a -t 10.0.0.16:80 -r {line}\n"


def test_an_empty_table_is_no_text() -> None:
    assert render(Table()) == ""


@given(strategies.tables())
def test_there_is_a_line_for_everything_in_the_tables_order(table: Table) -> None:
    kinds = [line[:3] for line in render(table).splitlines()]
    assert kinds == [
        kind
        for virtual in table.services.values()
        for kind in ("-A ", *("-a " for _ in virtual.servers))
    ]
