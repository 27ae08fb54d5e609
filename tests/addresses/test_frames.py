"""The announcement and question frames as scapy reads them, and answers as scapy writes them."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    IPv6,
    in6_chksum,
)
from scapy.layers.l2 import ARP, Ether

from ipvs_lb.addresses import frames

MAC, OTHER = bytes.fromhex("020000000001"), "02:00:00:00:00:02"
VIP, VIP6 = ip_address("10.0.0.16"), ip_address("2001:db8::ab:cdef")


def test_an_ipv4_address_is_announced_in_both_forms():
    request, reply = (Ether(frame) for frame in frames.announcements(MAC, VIP, router=False))
    for frame in (request, reply):
        assert (frame.dst, frame.src) == ("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01")
        assert (frame[ARP].psrc, frame[ARP].pdst) == ("10.0.0.16", "10.0.0.16")
        assert frame[ARP].hwsrc == "02:00:00:00:00:01"
    assert (request[ARP].op, request[ARP].hwdst) == (1, "00:00:00:00:00:00")
    assert (reply[ARP].op, reply[ARP].hwdst) == (2, "02:00:00:00:00:01")


def checksum_is_right(packet):
    upper = bytearray(bytes(packet[IPv6].payload))
    upper[2:4] = b"\0\0"
    return in6_chksum(58, packet[IPv6], bytes(upper)) == packet[IPv6].payload.cksum


@pytest.mark.parametrize("router", [True, False])
def test_an_ipv6_address_is_announced_to_all_nodes_and_overrides(router):
    (frame,) = (Ether(raw) for raw in frames.announcements(MAC, VIP6, router=router))
    assert (frame.dst, frame[IPv6].dst, frame[IPv6].hlim) == ("33:33:00:00:00:01", "ff02::1", 255)
    assert frame[IPv6].src == frame[ICMPv6ND_NA].tgt == str(VIP6)
    advertisement = frame[ICMPv6ND_NA]
    flags = {name: advertisement.getfieldval(name) for name in "RSO"}
    assert flags == {"R": int(router), "S": 0, "O": 1}
    assert frame[ICMPv6NDOptDstLLAddr].lladdr == "02:00:00:00:00:01"
    assert checksum_is_right(frame)


def test_an_arp_probe_claims_nothing():
    probe = Ether(frames.question(MAC, VIP))[ARP]
    assert (probe.op, probe.psrc, probe.pdst) == (1, "0.0.0.0", "10.0.0.16")
    assert frames.arp_claim(frames.question(MAC, VIP)) is None


def test_a_solicitation_goes_to_the_group_of_the_address_from_nowhere():
    frame = Ether(frames.question(MAC, VIP6))
    assert (frame.dst, frame[IPv6].dst) == ("33:33:ff:ab:cd:ef", "ff02::1:ffab:cdef")
    assert (frame[IPv6].src, frame[IPv6].hlim) == ("::", 255)
    assert frame[ICMPv6ND_NS].tgt == str(VIP6)
    assert checksum_is_right(frame)


@pytest.mark.parametrize("operation", [1, 2])
def test_who_speaks_arp_with_an_address_claims_it(operation):
    packet = Ether() / ARP(op=operation, psrc="10.0.0.16", hwsrc=OTHER, pdst="10.0.0.2")
    assert frames.arp_claim(bytes(packet)) == (VIP, OTHER)


def test_arp_of_another_kind_of_network_claims_nothing():
    packet = Ether() / ARP(hwtype=6, psrc="10.0.0.16", hwsrc=OTHER)
    assert frames.arp_claim(bytes(packet)) is None


@pytest.mark.parametrize(
    ("options", "mac"),
    [
        pytest.param(ICMPv6NDOptDstLLAddr(lladdr=OTHER), OTHER, id="option"),
        pytest.param(
            ICMPv6NDOptMTU() / ICMPv6NDOptDstLLAddr(lladdr=OTHER), OTHER, id="second-option"
        ),
        pytest.param(b"", "an unknown MAC address", id="no-option"),
        pytest.param(bytes(8), "an unknown MAC address", id="option-of-no-length"),
    ],
)
def test_an_advertisement_claims_its_target(options, mac):
    message = ICMPv6ND_NA(tgt=str(VIP6), cksum=0) / options
    assert frames.advertisement_claim(bytes(message)) == (VIP6, mac)


def test_other_messages_claim_nothing():
    assert frames.advertisement_claim(bytes(ICMPv6ND_NS(tgt=str(VIP6), cksum=0))) is None


@given(st.binary(max_size=80))
def test_whatever_is_received_is_read_or_ignored(packet):
    frames.arp_claim(packet)
    frames.advertisement_claim(packet)
    frames.advertisement_claim(bytes([frames.ND_ADVERTISEMENT]) + packet)
