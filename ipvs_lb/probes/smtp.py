"""The smtp method: greeting, EHLO (or HELO for those who know no other) and a polite QUIT (RFC 5321)."""

from __future__ import annotations

import re

from ipvs_lb.model.checks import SmtpCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.wire import Finding, Wire

_READY = 220
_OK = 250
_PERMANENT = 500
_MAX_LINES = 100
_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})([ -].*|)", re.DOTALL)


async def probe_smtp(check: SmtpCheck, wire: Wire) -> Finding:
    """Pass when the greeting is 220 and the reply to EHLO or HELO is 250."""
    async with connected(wire) as connection:
        code, text = await _reply(connection)
        if code != _READY:
            raise ProbeFailure(ErrorClass.STATUS, f"greeting {quoted(text)}, expected 220")
        code, text = await _command(connection, f"EHLO {check.helo}")
        if code >= _PERMANENT:
            code, text = await _command(connection, f"HELO {check.helo}")
        if code != _OK:
            raise ProbeFailure(ErrorClass.STATUS, f"reply {quoted(text)}, expected 250")
        await _quit(connection)
    return Finding()


async def _command(connection: Connection, command: str) -> tuple[int, bytes]:
    await connection.send(f"{command}\r\n".encode())
    return await _reply(connection)


async def _reply(connection: Connection) -> tuple[int, bytes]:
    """The code and the last line of a reply."""
    for _ in range(_MAX_LINES):
        line = await connection.line()
        match = _REPLY_LINE.fullmatch(line)
        if match is None:
            raise ProbeFailure(ErrorClass.PROTOCOL, f"not an SMTP reply: {quoted(line)}")
        if not match[2].startswith(b"-"):
            return int(match[1]), line
    raise ProbeFailure(ErrorClass.TOO_LARGE, f"a reply of more than {_MAX_LINES} lines")


async def _quit(connection: Connection) -> None:
    """Take leave, so that the server logs no lost connection; how it answers no longer matters."""
    try:
        await _command(connection, "QUIT")
    except (ProbeFailure, OSError):
        return
