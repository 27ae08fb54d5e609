"""The udp method, and datagram exchanges for the others.

Without an expected answer silence passes, as many UDP services answer nobody they do not know: the probe listens for
an ICMP error for most of its timeout. Any answer ends it early. To ask for an answer whatever it is, expect an empty
one under an empty mask.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ipvs_lb.model.checks import UdpCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.wire import Finding, Wire

MAX_DATAGRAM = 65_535
MAX_STRAY = 64
_LISTENING = 0.9  # share of the timeout that silence has to last


class Datagrams:
    """A connected datagram socket: only the target is heard, and its ICMP errors are."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._watch = wire.watch
        self._received = 0

    async def send(self, payload: bytes) -> None:
        """Send one datagram."""
        await self._loop.sock_sendall(self._sock, payload)

    async def receive(self) -> bytes:
        """The next datagram. Raises ProbeFailure when there are more than `MAX_STRAY` of them."""
        answer = await self._loop.sock_recv(self._sock, MAX_DATAGRAM)
        if self._watch.first_byte is None:
            self._watch.first_byte = self._watch.elapsed()
        self._received += 1
        if self._received > MAX_STRAY:
            raise ProbeFailure(ErrorClass.TOO_LARGE, f"more than {MAX_STRAY} datagrams, none fits")
        return answer


@asynccontextmanager
async def datagrams(
    wire: Wire, kind: socket.SocketKind = socket.SOCK_DGRAM, protocol: int = 0
) -> AsyncIterator[Datagrams]:
    """A connected datagram (or raw) socket to the target. Raises OSError or ProbeFailure."""
    with wire.open_socket(kind, protocol) as sock:
        sock.connect(wire.destination)
        wire.watch.connect = wire.watch.elapsed()
        wire.watch.doing = "waiting for the answer"
        yield Datagrams(sock, wire)


async def probe_udp(check: UdpCheck, wire: Wire) -> Finding:
    """Pass when the expected answer comes or, with none expected, when no ICMP error does."""
    async with datagrams(wire) as exchange:
        await exchange.send(check.payload)
        if check.expect is None:
            return await _listen(exchange, wire)
        answer = await exchange.receive()
    if not matches(answer, check.expect, check.mask):
        raise ProbeFailure(
            ErrorClass.BODY, f"the answer differs from the expected one: {quoted(answer)}"
        )
    return Finding()


async def _listen(exchange: Datagrams, wire: Wire) -> Finding:
    rest = wire.timeout * _LISTENING - wire.watch.elapsed()
    try:
        async with asyncio.timeout(max(rest, 0.0)):
            await exchange.receive()
    except TimeoutError:
        return Finding(detail="no answer, none needed")
    return Finding(detail="answered")


def matches(answer: bytes, expected: bytes, mask: bytes | None) -> bool:
    """Whether the bits of *answer* that are 1 in *mask* equal those of *expected*; without a mask, all.

    Bytes beyond the mask's end count; bytes beyond the expected answer's end do not when there is a mask.
    """
    if mask is None:
        return answer == expected
    if len(answer) < len(expected):
        return False
    bits = mask.ljust(len(expected), b"\xff")
    return all(
        (got ^ want) & bit == 0 for got, want, bit in zip(answer, expected, bits, strict=False)
    )
