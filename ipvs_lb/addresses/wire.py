"""The link under an interface, and raw sockets on it."""

from __future__ import annotations

import array
import errno
import fcntl
import socket
import struct
from dataclasses import dataclass

LINK_DOWN = frozenset({errno.ENETDOWN, errno.ENOBUFS, errno.ENXIO})
"""Errors of sending over a link that is down although its carrier is not yet known to be gone."""

_SIOCGIFFLAGS, _SIOCGIFHWADDR, _SIOCETHTOOL = 0x8913, 0x8927, 0x8946  # linux/sockios.h
_ETHTOOL_GLINK = 0x0A  # linux/ethtool.h
_IFREQ_SIZE, _NAME_SIZE = 40, 16
_SHORT = struct.Struct("=H")
_IFF_UP, _IFF_RUNNING, _IFF_NOARP, _IFF_LOOPBACK = 0x1, 0x40, 0x80, 0x8  # linux/if.h
_ARPHRD_ETHER = 1  # linux/if_arp.h
_ICMP6_FILTER = 1  # linux/icmpv6.h; a set bit blocks the type


@dataclass(frozen=True, slots=True)
class Link:
    """What tells whether and how neighbours can be spoken to.

    `resolves`: neighbours find each other by ARP or neighbour discovery over Ethernet addresses.
    `is_up`: packets get out.
    """

    mac: bytes
    resolves: bool
    is_up: bool


def link_of(interface: str) -> Link:
    """The link of *interface*. Raises OSError.

    Asked by ioctl: closing a packet socket makes the kernel wait for all processors, tens of ms.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        (flags,) = _SHORT.unpack(_ask(any_socket, _SIOCGIFFLAGS, interface)[:2])
        address = _ask(any_socket, _SIOCGIFHWADDR, interface)
        is_up = bool(flags & _IFF_UP) and _has_carrier(any_socket, interface, flags)
    (hardware,) = _SHORT.unpack(address[:2])
    resolves = hardware == _ARPHRD_ETHER and not flags & (_IFF_NOARP | _IFF_LOOPBACK)
    return Link(address[2:8], resolves, is_up)


def _has_carrier(any_socket: socket.socket, interface: str, flags: int) -> bool:
    """IFF_RUNNING follows the carrier only within a second; ethtool knows it at once, if the driver tells."""
    link = array.array("I", (_ETHTOOL_GLINK, 0))
    try:
        _ask(any_socket, _SIOCETHTOOL, interface, struct.pack("@P", link.buffer_info()[0]))
    except OSError:
        return bool(flags & _IFF_RUNNING)
    return bool(link[1])


def _ask(any_socket: socket.socket, request: int, interface: str, more: bytes = b"") -> bytes:
    """The union of struct ifreq, behind the name."""
    name = interface.encode()[: _NAME_SIZE - 1].ljust(_NAME_SIZE, b"\0")
    return fcntl.ioctl(any_socket, request, (name + more).ljust(_IFREQ_SIZE, b"\0"))[_NAME_SIZE:]


def frame_sender() -> socket.socket:
    """Sends whole frames with `sendto(frame, (interface, 0))`, receives nothing. Raises OSError."""
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


def frame_receiver(interface: str, ethertype: int) -> socket.socket:
    """Receives the frames of one type that come in on *interface*. Raises OSError."""
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        frames.bind((interface, ethertype))
    except OSError:
        frames.close()
        raise
    return frames


def icmpv6_socket(interface: str, message_type: int) -> socket.socket:
    """Receives the ICMPv6 messages of one type that come in on *interface*. Raises OSError."""
    messages = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    blocked = array.array("I", [0xFFFFFFFF] * 8)
    blocked[message_type // 32] &= ~(1 << message_type % 32) & 0xFFFFFFFF
    try:
        messages.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, blocked.tobytes())
        messages.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    except OSError:
        messages.close()
        raise
    return messages
