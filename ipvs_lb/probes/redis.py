"""The redis method: PING, and the role in replication when asked for (RESP, https://redis.io/docs/reference/protocol-spec)."""

from __future__ import annotations

import re

from ipvs_lb.model.checks import RedisCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.wire import Finding, Wire

_PING = b"*1\r\n$4\r\nPING\r\n"
_INFO = b"*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n"
_GUARDED = (b"-NOAUTH", b"-NOPERM")
_BULK = re.compile(rb"\$([0-9]{1,5})")
_ROLE = re.compile(rb"^role:([a-z]+)\r?$", re.MULTILINE)


async def probe_redis(check: RedisCheck, wire: Wire) -> Finding:
    """Pass when PING is answered, by PONG or a demand for authentication, and the role is the wanted one."""
    async with connected(wire) as connection:
        await connection.send(_PING)
        line = await connection.line()
        if line == b"+PONG":
            return Finding() if check.role is None else await _compare_role(connection, check.role)
        if line.startswith(_GUARDED) and check.role is None:
            return Finding(detail="asks for authentication")
        if line.startswith(b"-"):
            raise ProbeFailure(ErrorClass.STATUS, f"answers {quoted(line)}")
        raise ProbeFailure(ErrorClass.PROTOCOL, f"not an answer to PING: {quoted(line)}")


async def _compare_role(connection: Connection, wanted: str) -> Finding:
    await connection.send(_INFO)
    line = await connection.line()
    if line.startswith(b"-"):
        raise ProbeFailure(ErrorClass.STATUS, f"answers {quoted(line)}")
    size = _BULK.fullmatch(line)
    role = _ROLE.search(await connection.exactly(int(size[1]))) if size else None
    if role is None:
        raise ProbeFailure(ErrorClass.PROTOCOL, "no role in the answer to INFO")
    if role[1].decode() != wanted:
        raise ProbeFailure(ErrorClass.BODY, f"role {quoted(role[1])}, expected {quoted(wanted)}")
    return Finding(detail=f"role {wanted}")
