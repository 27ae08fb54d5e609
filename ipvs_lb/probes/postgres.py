"""The postgres method: a server answers the question whether it speaks TLS, which needs no credentials.

The message is SSLRequest of the PostgreSQL frontend/backend protocol (section "SSL Session Encryption").
"""

from __future__ import annotations

from ipvs_lb.model.checks import PostgresCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.connection import connected
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.wire import Finding, Wire

_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


async def probe_postgres(_check: PostgresCheck, wire: Wire) -> Finding:
    """Pass when the answer is yes or no; an error message instead is a failure."""
    async with connected(wire) as connection:
        await connection.send(_SSL_REQUEST)
        answer = await connection.exactly(1)
        if answer == b"E":
            said = await connection.receive()
            raise ProbeFailure(ErrorClass.STATUS, f"the server reports an error: {quoted(said)}")
    if answer not in b"SN":
        raise ProbeFailure(ErrorClass.PROTOCOL, f"not an answer to SSLRequest: {quoted(answer)}")
    return Finding()
