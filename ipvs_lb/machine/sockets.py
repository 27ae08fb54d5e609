"""The sockets of this network namespace that others can send to (proc_net_tcp(5)), and who listens on a unix socket."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from ipvs_lb.doctor import Listener
from ipvs_lb.model.identity import IPAddress, IPProtocol, Port
from ipvs_lb.unix_peer import unix_peer

PROC_NET = Path("/proc/thread-self/net")
_WAITING = {"0A": IPProtocol.TCP, "07": IPProtocol.UDP}  # TCP_LISTEN; a UDP socket without a peer
_FILES = ("tcp", "tcp6", "udp", "udp6")
_WORD = 8  # hex digits
_IPV4_LENGTH = 4
_PATIENCE = 2.0  # seconds


def listeners(folder: Path = PROC_NET) -> tuple[Listener, ...]:
    """Every listening TCP socket and every UDP socket without a peer, but for those on loopback addresses."""
    return tuple(one for name in _FILES for one in _of_file(folder / name))


def process_behind(path: Path) -> int | None:
    """The process that listens on the unix socket *path* ; None where nobody does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        process, _ = unix_peer(connection)
    return process or None


def _of_file(path: Path) -> Iterator[Listener]:
    try:
        lines = path.read_text().splitlines()[1:]
    except OSError:  # a kernel without IPv6
        return
    for _, local, _, state, *_ in map(str.split, lines):
        if state not in _WAITING or not path.name.startswith(str(_WAITING[state])):
            continue
        host, _, port = local.partition(":")
        address = _address(host)
        if not address.is_loopback:
            everywhere = address == IPv6Address(0)  # it hears IPv4 too, unless told not to
            yield Listener(_WAITING[state], None if everywhere else address, Port(int(port, 16)))


def _address(text: str) -> IPAddress:
    """The kernel writes each 32-bit word as the number that this processor takes it for."""
    words = [int(text[at : at + _WORD], 16) for at in range(0, len(text), _WORD)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(packed) == _IPV4_LENGTH:
        return IPv4Address(packed)
    address = IPv6Address(packed)
    return address.ipv4_mapped or address
