"""`apply --check`: every health check once, and what follows from the results.

A server fails when fewer of its checks pass than its service requires. A check that this machine could not
carry out says nothing about the server, and counts as passed; it is told all the same. So are checks through the VIP:
they need the daemon, which keeps services for them in the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ipvs_lb.model.checks import Via
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.probe import Probe, probe_of
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.policy import Member, members

CheckKey = tuple[Member, int]
Checks = Mapping[CheckKey, Probe]
_DAEMON_ONLY = Result(error=ErrorClass.CHECK, detail="only the daemon checks through the VIP")
CheckOnce = Callable[[Checks], Mapping[CheckKey, Result]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The members that fail, with the reason, and what could not be checked."""

    failing: Mapping[Member, str]
    unchecked: Mapping[Member, str]


def judge(config: Config, check_once: CheckOnce) -> Verdict:
    """Who fails, by the results of one run of every check."""
    results = check_once(dict(_probes(config)))
    failing, unchecked = {}, {}
    for declared in config.services:
        for member, server in _checked_members(declared):
            own = [results.get((member, n), _DAEMON_ONLY) for n in range(len(server.checks))]
            against = [result for result in own if result.error and result.error.blames_server]
            required = min(declared.policy.required or len(own), len(own))
            if len(own) - len(against) < required:
                failing[member] = _reason(against[0])
            undecided = [r for r in own if r.error and not r.error.blames_server]
            if undecided:
                unchecked[member] = _reason(undecided[0])
    return Verdict(failing=failing, unchecked=unchecked)


def _probes(config: Config) -> Iterator[tuple[CheckKey, Probe]]:
    for declared in config.services:
        for member, server in _checked_members(declared):
            for number, check in enumerate(server.checks):
                if check.via is not Via.VIP:
                    yield (member, number), probe_of(check, member.key, member.server)


def _checked_members(declared: DeclaredService) -> Iterator[tuple[Member, DeclaredServer]]:
    for key, server_key, server in members(declared):
        if server.checks and not server.disabled:
            yield Member(key, server_key), server


def _reason(result: Result) -> str:
    return f"{result.error}: {result.detail}" if result.detail else str(result.error)
