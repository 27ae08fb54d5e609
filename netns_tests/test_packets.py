"""What is on the wire: what each forwarding method changes of a packet, what it leaves, and who is told of a VIP."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, GRE, Ether

from netns_tests.balance import (
    NEIGHBOUR,
    NEIGHBOUR_6,
    ONE,
    ONE_6,
    OUTSIDER,
    answered,
    config,
    hold_vip,
    new_vip,
    new_vip_6,
    server,
    service,
)

ETH_P_ALL = 3
IPV4_IN_IPV4, IPV4_IN_GRE = 4, 0x0800
ARP_FORMS = {1: "request", 2: "reply"}
PATIENCE = 5.0


class Wire:
    """Every frame that an interface receives or sends while the `with` block lasts."""

    def __init__(self, host, interface="eth0"):
        kinds = (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket = host.call(socket.socket, *kinds)
        self._socket.bind((interface, ETH_P_ALL))
        self._heard: list[Ether] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def first(self, wanted):
        """The first frame that *wanted* is true of, as soon as it is there."""
        deadline = time.monotonic() + PATIENCE
        for frame in self._heard:
            if wanted(frame):
                return frame
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            self._heard.append(Ether(self._socket.recv(65535)))
            if wanted(self._heard[-1]):
                return self._heard[-1]
        raise AssertionError("no such frame: " + "; ".join(f.summary() for f in self._heard))

    def heard(self):
        """All frames so far."""
        self._socket.setblocking(False)
        try:
            while True:
                self._heard.append(Ether(self._socket.recv(65535)))
        except BlockingIOError:
            return tuple(self._heard)


def syn(layer, *, to):
    """Whether a frame opens a TCP connection to the address *to*, in its innermost IP header."""

    def wanted(frame):
        return (
            layer in frame and TCP in frame and frame[TCP].flags == "S" and frame[layer].dst == to
        )

    return wanted


def answer(layer, *, by):
    def wanted(frame):
        return (
            layer in frame and TCP in frame and frame[TCP].flags == "SA" and frame[layer].src == by
        )

    return wanted


def knock(client, vip, port=80):
    """Ask for a TCP connection and do not wait for it."""

    def work():
        with socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET) as knocking:
            knocking.setblocking(False)
            knocking.connect_ex((vip, port))

    client.call(work)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a test needs to know to run over one address family."""

    layer: type
    make_vip: Callable[[], str]
    server: str
    client: str


KINDS = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Kind(layer=IP, make_vip=new_vip, server=ONE, client=NEIGHBOUR), id="ipv4"),
        pytest.param(
            Kind(layer=IPv6, make_vip=new_vip_6, server=ONE_6, client=NEIGHBOUR_6), id="ipv6"
        ),
    ],
)


@KINDS
def test_dr_changes_nothing_but_the_hardware_addresses(bench, balancer, kind):
    vip, layer = kind.make_vip(), kind.layer
    hold_vip(bench.servers[0], vip)
    balancer.apply(config(service(vip, kind.server, forwarding="dr")))
    with Wire(bench.neighbour) as near, Wire(bench.servers[0]) as far:
        answered(bench.neighbour, vip)
        sent, came = near.first(syn(layer, to=vip)), far.first(syn(layer, to=vip))
        back = near.first(answer(layer, by=vip))
    gateway, real = bench.gateway.mac("eth1"), bench.servers[0].mac("eth0")
    client = bench.neighbour.mac("eth0")
    assert (sent.src, sent.dst, came.src, came.dst) == (client, gateway, gateway, real)
    assert untouched(sent[layer]) == untouched(came[layer])
    assert (came[layer].src, came[TCP].dport) == (kind.client, 80)
    assert (back.src, back.dst) == (real, client), "the answer does not pass the gateway"


def untouched(packet):
    """A packet without what every hop counts down: the time to live, and the checksum of IPv4 with it."""
    bare = packet.copy()
    if IP in bare:
        bare.ttl, bare.chksum = 0, 0
    else:
        bare.hlim = 0
    return bytes(bare)


def test_masq_changes_the_destination_and_on_the_way_back_the_source(bench, balancer):
    vip = new_vip()
    balancer.apply(config(service(vip, server(ONE, port=8080))))
    with Wire(bench.outsider) as near, Wire(bench.servers[0]) as far:
        answered(bench.outsider, vip)
        sent, came = near.first(syn(IP, to=vip)), far.first(syn(IP, to=ONE))
        left, back = far.first(answer(IP, by=ONE)), near.first(answer(IP, by=vip))
    assert [ends(frame) for frame in (sent, came, left, back)] == [
        (OUTSIDER, sent[TCP].sport, vip, 80),
        (OUTSIDER, sent[TCP].sport, ONE, 8080),
        (ONE, 8080, OUTSIDER, sent[TCP].sport),
        (vip, 80, OUTSIDER, sent[TCP].sport),
    ]
    assert sent[TCP].seq == came[TCP].seq


def ends(frame):
    return frame[IP].src, frame[TCP].sport, frame[IP].dst, frame[TCP].dport


def is_from_gateway(frame):
    return IP in frame and (frame[IP].src, frame[IP].dst) == ("10.0.0.1", ONE)


def tunnelled(bench, balancer, **tunnel):
    """What the neighbour sent, and the frame in which it came to server-1."""
    vip = new_vip()
    balancer.apply(config(service(vip, ONE, forwarding="tunnel", tunnel=tunnel)))
    with Wire(bench.neighbour) as near, Wire(bench.servers[0]) as far:
        knock(bench.neighbour, vip)
        return near.first(syn(IP, to=vip)), far.first(is_from_gateway)


def test_ipip_puts_the_packet_into_one_from_the_gateway_to_the_server(bench, balancer):
    sent, came = tunnelled(bench, balancer, type="ipip")
    assert came[IP].proto == IPV4_IN_IPV4
    assert untouched(came[IP].payload) == untouched(sent[IP])


@pytest.mark.parametrize("checksum", ["none", "csum"])
def test_gue_puts_the_packet_into_udp_to_the_configured_port(bench, balancer, checksum):
    sent, came = tunnelled(bench, balancer, type="gue", port=6080, checksum=checksum)
    assert came[UDP].dport == 6080
    assert (came[UDP].chksum != 0) == (checksum == "csum")
    body = bytes(came[UDP].payload)
    header, inner = (
        body[:4],
        IP(body[4:]),
    )  # draft-ietf-intarea-gue: version, length, protocol, flags
    assert header == bytes([0, IPV4_IN_IPV4, 0, 0])
    assert untouched(inner) == untouched(sent[IP])


@pytest.mark.parametrize("checksum", ["none", "csum"])
def test_gre_puts_the_packet_into_gre(bench, balancer, checksum):
    sent, came = tunnelled(bench, balancer, type="gre", checksum=checksum)
    assert (came[GRE].proto, came[GRE].chksum_present) == (IPV4_IN_GRE, int(checksum == "csum"))
    assert untouched(came[GRE].payload) == untouched(sent[IP])


def announced(address):
    return {"address": address, "announce": True}


def claims(frames, address):
    """How often who said unasked that *address* is theirs: by hardware address and form of the claim."""
    return Counter(
        (frame.src, "advertisement" if ICMPv6ND_NA in frame else ARP_FORMS[frame[ARP].op])
        for frame in frames
        if (ARP in frame and frame[ARP].psrc == frame[ARP].pdst == address)
        or (ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == address and frame.dst[:5] == "33:33")
    )


@KINDS
def test_apply_announces_a_new_vip_three_times_and_only_then(bench, balancer, kind):
    vip, gateway = kind.make_vip(), bench.gateway.mac("eth1")
    balancer.write(config({**service(vip, kind.server), "vip": announced(vip)}))
    with Wire(bench.neighbour) as wire:
        assert balancer.command("apply").exit_code == 0
        told = claims(wire.heard(), vip)
    forms = ["request", "reply"] if kind.layer is IP else ["advertisement"]
    assert told == {(gateway, form): 3 for form in forms}
    balancer.write(config({**service(vip, kind.server, port=81), "vip": announced(vip)}))
    with Wire(bench.neighbour) as wire:
        assert balancer.command("apply").exit_code == 0
        assert not claims(wire.heard(), vip)


def test_a_vip_that_is_not_to_be_announced_is_not(bench, balancer):
    vip = new_vip()
    balancer.write(config(service(vip, ONE)))
    with Wire(bench.neighbour) as wire:
        assert balancer.command("apply").exit_code == 0
        assert not claims(wire.heard(), vip)
        assert answered(bench.outsider, vip) == "server-1"
