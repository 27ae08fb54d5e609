"""The agent method: the server says itself how it is, in the text form of HAProxy's agent-check.

One line of words separated by blanks or commas: up, down, fail, stopped, ready, drain, maint, a weight such as 75%,
maxconn:N (without meaning here), and, after `#`, a reason.
"""

from __future__ import annotations

import re

from ipvs_lb.model.checks import AgentCheck
from ipvs_lb.model.results import AgentMode, AgentReport, ErrorClass
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, printable, quoted
from ipvs_lb.probes.wire import Finding, Wire

_MAX_LINE = 1024
_MAX_PERCENT = 1000
_PERCENT = re.compile(r"([0-9]{1,6})%")
_IGNORED = re.compile(r"maxconn:[0-9]+")
_UP = {"up": True, "down": False, "fail": False, "stopped": False}
_MODES = {mode.value: mode for mode in AgentMode}


async def probe_agent(check: AgentCheck, wire: Wire) -> Finding:
    """Pass unless the agent says down, fail or stopped."""
    async with connected(wire) as connection:
        if check.send:
            await connection.send(check.send)
        report = parse(await _line(connection))
    if report.up is False:
        said = f"the agent says down {report.reason}".rstrip()
        raise ProbeFailure(ErrorClass.AGENT_DOWN, said, agent=report)
    return Finding(agent=report, detail=report.reason)


async def _line(connection: Connection) -> bytes:
    """The first line, which the end of the connection may end too."""
    answer = b""
    while b"\n" not in answer and len(answer) <= _MAX_LINE:
        piece = await connection.receive()
        if not piece:
            break
        answer += piece
    line = answer.partition(b"\n")[0]
    if len(line) > _MAX_LINE:
        raise ProbeFailure(ErrorClass.TOO_LARGE, f"a line of more than {_MAX_LINE} bytes")
    if not line.strip():
        raise ProbeFailure(ErrorClass.CLOSED, "the agent says nothing")
    return line


def parse(line: bytes) -> AgentReport:
    """What the agent's *line* says. Raises ProbeFailure at the first word that means nothing."""
    words, _, reason = line.decode("latin-1").partition("#")
    up: bool | None = None
    mode: AgentMode | None = None
    percent: int | None = None
    for word in words.replace(",", " ").lower().split():
        if word in _UP:
            up = _UP[word]
        elif word in _MODES:
            mode = _MODES[word]
        elif match := _PERCENT.fullmatch(word):
            percent = min(int(match[1]), _MAX_PERCENT)
        elif not _IGNORED.fullmatch(word):
            raise ProbeFailure(ErrorClass.PROTOCOL, f"not an agent's word: {quoted(word)}")
    return AgentReport(up=up, mode=mode, percent=percent, reason=printable(reason, 120))
