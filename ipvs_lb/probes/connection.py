"""One TCP connection of a probe, in the clear or in TLS: every read bounded, closed without TIME_WAIT.

The deadline is the caller's (`asyncio.timeout`); this module bounds bytes. A socket that is always readable never
suspends its reader, so whoever reads more than a little gives way to others in between.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure
from ipvs_lb.probes.wire import Wire

_CHUNK = 16384
DEFAULT_BUDGET = 262_144


class Connection:
    """A connected socket with a buffer in front of it. `budget` is how many bytes may come from the network."""

    def __init__(self, sock: socket.socket, wire: Wire, *, budget: int = DEFAULT_BUDGET) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._watch = wire.watch
        self._budget = budget
        self._received = 0
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._buffer = b""

    async def start_tls(self, context: ssl.SSLContext, name: str | None) -> ssl.SSLObject:
        """Complete a TLS handshake, sending *name* as SNI unless it is an address.

        Raises ProbeFailure (TLS) when the other side closes in the middle, ssl.SSLError otherwise.
        """
        self._watch.doing = "TLS handshake"
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise ProbeFailure(
                        ErrorClass.TLS, "connection closed during the TLS handshake"
                    ) from None
        await self._flush()
        self._watch.tls = self._watch.elapsed()
        self._watch.doing = "waiting for the answer"
        self._tls = tls
        return tls

    async def send(self, payload: bytes) -> None:
        """Send all of *payload*."""
        if self._tls is None:
            await self._loop.sock_sendall(self._sock, payload)
            return
        self._tls.write(payload)
        await self._flush()

    async def receive(self) -> bytes:
        """The next bytes, at most 16 KiB; empty at the end of the stream."""
        if self._buffer:
            taken, self._buffer = self._buffer, b""
            return taken
        taken = await (self._network() if self._tls is None else self._receive_tls(self._tls))
        if taken and self._watch.first_byte is None:
            self._watch.first_byte = self._watch.elapsed()
        return taken

    async def line(self, limit: int = 2048) -> bytes:
        """The next line without its line end. Raises ProbeFailure when it is too long or never ends."""
        collected = b""
        while b"\n" not in collected:
            if len(collected) > limit:
                raise ProbeFailure(ErrorClass.TOO_LARGE, f"a line of more than {limit} bytes")
            collected += await self._more()
        line, _, self._buffer = collected.partition(b"\n")
        if len(line) > limit:
            raise ProbeFailure(ErrorClass.TOO_LARGE, f"a line of more than {limit} bytes")
        return line.removesuffix(b"\r")

    async def exactly(self, count: int) -> bytes:
        """The next *count* bytes. Raises ProbeFailure when the stream ends before."""
        collected = b""
        while len(collected) < count:
            collected += await self._more()
        self._buffer = collected[count:]
        return collected[:count]

    async def _more(self) -> bytes:
        taken = await self.receive()
        if not taken:
            raise ProbeFailure(
                ErrorClass.CLOSED, "connection closed before the answer was complete"
            )
        return taken

    async def _receive_tls(self, tls: ssl.SSLObject) -> bytes:
        while True:
            try:
                return tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def _flush(self) -> None:
        pending = self._outgoing.read()
        if pending:
            await self._loop.sock_sendall(self._sock, pending)

    async def _fill(self) -> bool:
        taken = await self._network()
        self._incoming.write(taken)
        return bool(taken)

    async def _network(self) -> bytes:
        taken = await self._loop.sock_recv(self._sock, _CHUNK)
        self._received += len(taken)
        if self._received > self._budget:
            raise ProbeFailure(ErrorClass.TOO_LARGE, "the server sends more than the check reads")
        if self._received > _CHUNK:
            await asyncio.sleep(0)
        return taken


@asynccontextmanager
async def connected(wire: Wire, *, budget: int = DEFAULT_BUDGET) -> AsyncIterator[Connection]:
    """A connection to the target, aborted on leaving. Raises OSError or ProbeFailure."""
    with wire.open_socket(socket.SOCK_STREAM) as sock:
        wire.watch.doing = "connecting"
        await asyncio.get_running_loop().sock_connect(sock, wire.destination)
        refuse_self_connection(sock)
        wire.watch.connect = wire.watch.elapsed()
        wire.watch.doing = "waiting for the answer"
        yield Connection(sock, wire, budget=budget)


def refuse_self_connection(sock: socket.SocketType) -> None:
    """Raises ProbeFailure when *sock* is its own other end.

    A local port in the ephemeral range with nobody listening can be connected with itself (RFC 9293, 3.5).
    """
    if sock.getsockname() == sock.getpeername():
        raise ProbeFailure(ErrorClass.REFUSED, "connecting: Connection refused")
