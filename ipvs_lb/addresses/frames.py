"""ARP and neighbour-discovery packets as bytes: what is sent, and what is read from answers.

ARP as in RFC 826 with the gratuitous forms of RFC 5227 and RFC 5944, neighbour discovery as in RFC 4861.
Outgoing frames are whole Ethernet frames.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from ipvs_lb.model.identity import IPAddress

ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD
ARP_REQUEST, ARP_REPLY = 1, 2
ND_SOLICITATION, ND_ADVERTISEMENT = 135, 136
BROADCAST = b"\xff" * 6

_ETHERNET_HEADER = 14
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_HEAD = (1, ETH_P_IP, 6, 4)  # Ethernet and IPv4, the lengths of their addresses
_NOBODY = bytes(6)
_UNSPECIFIED = IPv6Address(0)
_ALL_NODES = IPv6Address("ff02::1")
_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))
_ND_HEAD = 24  # type, code, checksum, flags, target
_ROUTER, _OVERRIDE = 0x80000000, 0x20000000
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER = 1, 2
_ICMPV6 = 58


def announcements(mac: bytes, address: IPAddress, *, router: bool) -> tuple[bytes, ...]:
    """The frames that make neighbours take *mac* for *address*, whatever they knew.

    ARP in both forms, since some hosts heed only requests and some only replies. *router* says
    whether IPv6 is forwarded on the interface; hosts believe the flag.
    """
    if isinstance(address, IPv6Address):
        flags = _OVERRIDE | (_ROUTER if router else 0)
        message = struct.pack("!I16s", flags, address.packed) + _link_layer(_TARGET_LINK_LAYER, mac)
        return (_icmpv6(ND_ADVERTISEMENT, message, mac, address, _ALL_NODES),)
    return (
        _arp(ARP_REQUEST, mac, address, _NOBODY, address),
        _arp(ARP_REPLY, mac, address, mac, address),
    )


def question(mac: bytes, address: IPAddress) -> bytes:
    """The frame that asks who has *address* without claiming it: an ARP probe, or RFC 4862's solicitation."""
    if isinstance(address, IPv6Address):
        group = IPv6Address(_SOLICITED_NODE | (int(address) & 0xFFFFFF))
        message = struct.pack("!I16s", 0, address.packed)
        return _icmpv6(ND_SOLICITATION, message, mac, _UNSPECIFIED, group)
    return _arp(ARP_REQUEST, mac, IPv4Address(0), _NOBODY, address)


def arp_claim(frame: bytes) -> tuple[IPv4Address, str] | None:
    """Who says in an ARP frame to have which address; None when nobody does."""
    if len(frame) < _ETHERNET_HEADER + _ARP.size:
        return None
    *head, _, mac, address, _, _ = _ARP.unpack_from(frame, _ETHERNET_HEADER)
    if tuple(head) != _ARP_HEAD or address == bytes(4):
        return None
    return IPv4Address(address), mac_text(mac)


def advertisement_claim(message: bytes) -> tuple[IPv6Address, str] | None:
    """Who says in an ICMPv6 message to have which address; None when it is no whole advertisement."""
    if len(message) < _ND_HEAD or message[0] != ND_ADVERTISEMENT:
        return None
    target, options = IPv6Address(message[8:_ND_HEAD]), message[_ND_HEAD:]
    while len(options) >= 8 and options[1]:  # noqa: PLR2004  # options count in units of 8 bytes
        if options[0] == _TARGET_LINK_LAYER:
            return target, mac_text(options[2:8])
        options = options[8 * options[1] :]
    return target, "an unknown MAC address"


def mac_text(mac: bytes) -> str:
    """`02:00:00:00:00:01`."""
    return mac.hex(":")


def _ethernet(destination: bytes, source: bytes, kind: int) -> bytes:
    return destination + source + kind.to_bytes(2, "big")


def _arp(
    operation: int, mac: bytes, sender: IPv4Address, target_mac: bytes, target: IPv4Address
) -> bytes:
    body = _ARP.pack(*_ARP_HEAD, operation, mac, sender.packed, target_mac, target.packed)
    return _ethernet(BROADCAST, mac, ETH_P_ARP) + body


def _link_layer(option: int, mac: bytes) -> bytes:
    return bytes((option, 1)) + mac


def _icmpv6(
    kind: int, message: bytes, mac: bytes, source: IPv6Address, group: IPv6Address
) -> bytes:
    """An ICMPv6 message to a multicast group; hop limit 255 shows that no router passed it on."""
    length = 4 + len(message)
    pseudo = source.packed + group.packed + struct.pack("!II", length, _ICMPV6)
    checksum = _checksum(pseudo + struct.pack("!BBH", kind, 0, 0) + message)
    header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, 255) + source.packed + group.packed
    multicast = b"\x33\x33" + group.packed[12:]
    packet = header + struct.pack("!BBH", kind, 0, checksum) + message
    return _ethernet(multicast, mac, ETH_P_IPV6) + packet


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
