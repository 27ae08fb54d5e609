"""The tcp method: a connection, and a few bytes each way when asked for."""

from __future__ import annotations

from ipvs_lb.model.checks import TcpCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.wire import Finding, Wire

MAX_ANSWER = 65_536


async def probe_tcp(check: TcpCheck, wire: Wire) -> Finding:
    """Pass when the connection is accepted and the expected bytes are in the first 64 KiB that come."""
    async with connected(wire) as connection:
        if check.send:
            await connection.send(check.send)
        if check.expect:
            await _expect(connection, check.expect)
    return Finding()


async def _expect(connection: Connection, wanted: bytes) -> None:
    answer = b""
    while wanted not in answer[:MAX_ANSWER]:
        piece = await connection.receive()
        if not piece and not answer:
            raise ProbeFailure(ErrorClass.CLOSED, "connection closed without an answer")
        if not piece or len(answer) >= MAX_ANSWER:
            raise ProbeFailure(
                ErrorClass.BODY, f"{quoted(wanted)} is not in the answer {quoted(answer)}"
            )
        answer += piece
