"""The http and https methods: `http.Answer` over a connection."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING

from ipvs_lb.model.checks import HttpCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes import http
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, printable, quoted
from ipvs_lb.probes.tls import secure
from ipvs_lb.probes.wire import Finding, Wire

if TYPE_CHECKING:
    import regex

_OVERHEAD = 16  # a chunk of one byte takes six; TLS records cost as well
PATTERN_SECONDS = 0.25


async def probe_http(check: HttpCheck, wire: Wire) -> Finding:
    """Pass when the answer has an expected status and, if asked for, the expected body."""
    try:
        request = http.request(check, wire.target)
    except ValueError as error:
        raise ProbeFailure(ErrorClass.CHECK, printable(str(error))) from error
    pattern = None if check.body_regex is None else _compiled(check.body_regex)
    async with connected(wire, budget=budget(check)) as connection:
        if check.tls is not None:
            host = server_name(check.host) if check.host else None
            await secure(connection, wire, check.tls, host=host, protocol="http/1.1")
        verdict = await _exchange(connection, request, http.Answer(check))
    if verdict.error is not None:
        raise ProbeFailure(verdict.error, verdict.detail)
    if pattern is not None:
        await _search(pattern, verdict.body)
    return Finding(detail=verdict.detail)


def budget(check: HttpCheck) -> int:
    """How many bytes an answer to *check* may take on the network."""
    return http.MAX_HEAD * 4 + check.body_limit * _OVERHEAD


def server_name(host: str) -> str | None:
    """The name for SNI in a Host header: without the port, None for an address."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name
    return None


async def _exchange(connection: Connection, request: bytes, answer: http.Answer) -> http.Verdict:
    try:
        await connection.send(request)
    except (BrokenPipeError, ConnectionResetError):
        # An early answer may be waiting: servers refuse some requests before they have read them.
        return await _read(connection, answer)
    return await _read(connection, answer)


async def _read(connection: Connection, answer: http.Answer) -> http.Verdict:
    while True:
        piece = await connection.receive()
        verdict = answer.feed(piece) if piece else answer.end()
        if verdict is not None:
            return verdict


def _compiled(pattern: str) -> regex.Pattern[str]:
    """Patterns can take exponential time; this engine can be given a limit, which Python's own cannot."""
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ProbeFailure(
            ErrorClass.CHECK, f"the pattern {quoted(pattern)}: {printable(str(error))}"
        ) from error


async def _search(pattern: regex.Pattern[str], body: bytes) -> None:
    """Raises ProbeFailure unless *pattern* is found within `PATTERN_SECONDS` of CPU, while others go on."""
    text = body.decode("utf-8", "replace")
    try:
        found = await asyncio.to_thread(
            pattern.search, text, timeout=PATTERN_SECONDS, concurrent=True
        )
    except TimeoutError as error:
        raise ProbeFailure(
            ErrorClass.CHECK, f"the pattern {quoted(pattern.pattern)} takes too long on this body"
        ) from error
    if found is None:
        raise ProbeFailure(
            ErrorClass.BODY,
            f"{quoted(pattern.pattern)} matches nothing in the first {len(body)} bytes",
        )
