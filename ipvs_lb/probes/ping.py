"""The ping method: one ICMP or ICMPv6 echo, told apart from all others by its random payload.

The unprivileged kind of socket (sysctl net.ipv4.ping_group_range) is preferred; a raw one needs CAP_NET_RAW.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ipvs_lb.model.checks import PingCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure
from ipvs_lb.probes.udp import Datagrams, datagrams
from ipvs_lb.probes.wire import Finding, Wire

_ECHO = {4: 8, 6: 128}  # RFC 792, RFC 4443
_REPLY = {4: 0, 6: 129}
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_WORD = struct.Struct("!H")
_IPV4 = 4
_NONCE = 24


async def probe_ping(_check: PingCheck, wire: Wire) -> Finding:
    """Pass when the echo comes back."""
    version = wire.target.address.version
    nonce = secrets.token_bytes(_NONCE)
    async with _echo_socket(wire) as exchange:
        await exchange.send(echo_request(version, nonce))
        while True:
            if is_reply(version, await exchange.receive(), nonce):
                return Finding()
            await asyncio.sleep(0)  # others' echoes must not hold up the loop


@asynccontextmanager
async def _echo_socket(wire: Wire) -> AsyncIterator[Datagrams]:
    version = wire.target.address.version
    protocol = socket.IPPROTO_ICMP if version == _IPV4 else socket.IPPROTO_ICMPV6
    async with datagrams(wire, _permitted_kind(version, protocol), protocol) as exchange:
        yield exchange


def _permitted_kind(version: int, protocol: int) -> socket.SocketKind:
    family = socket.AF_INET if version == _IPV4 else socket.AF_INET6
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind, protocol).close()
        except PermissionError:
            continue
        return kind
    raise ProbeFailure(
        ErrorClass.LOCAL, "not permitted to ping: needs CAP_NET_RAW or net.ipv4.ping_group_range"
    )


def echo_request(version: int, nonce: bytes) -> bytes:
    """An echo request; the checksum of ICMPv6 is the kernel's to fill in (RFC 3542, section 3.1)."""
    identifier = int.from_bytes(nonce[:2], "big")
    blank = _HEADER.pack(_ECHO[version], 0, 0, identifier, 1)
    checksum = _checksum(blank + nonce) if version == _IPV4 else 0
    return _HEADER.pack(_ECHO[version], 0, checksum, identifier, 1) + nonce


def is_reply(version: int, packet: bytes, nonce: bytes) -> bool:
    """Whether *packet*, with an IPv4 header in front when a raw socket got it, answers that echo."""
    if version == _IPV4 and packet[:1] and packet[0] >> 4 == _IPV4:
        packet = packet[(packet[0] & 15) * 4 :]
    return packet[:2] == bytes((_REPLY[version], 0)) and packet[_HEADER.size :] == nonce


def _checksum(message: bytes) -> int:
    """RFC 1071; *message* has an even length."""
    total: int = sum(word for (word,) in _WORD.iter_unpack(message))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
