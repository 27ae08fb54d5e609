"""Many checks, each run once, for the one-shot commands."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator, Mapping
from typing import TypeVar

from ipvs_lb.model.checks import HealthCheck
from ipvs_lb.model.results import Result, Target
from ipvs_lb.probes.probe import probe, same_probe

K = TypeVar("K")
Identity = tuple[HealthCheck, Target]

_RESERVED_FILES = 64
_FILES_PER_PROBE = 2


async def check_once(
    checks: Mapping[K, tuple[HealthCheck, Target]], *, limit: int = 500
) -> dict[K, Result]:
    """The result of every check; equal probes run once, *limit* of them at a time at most.

    Fewer run at a time where the process may not open that many files.
    """
    identities = {key: same_probe(check, server) for key, (check, server) in checks.items()}
    results: dict[Identity, Result] = {}
    waiting = iter(dict.fromkeys(identities.values()))
    async with asyncio.TaskGroup() as group:
        for number in range(min(limit, _affordable(), len(set(identities.values())))):
            group.create_task(_work(waiting, results), name=f"probes {number}")
    return {key: results[identity] for key, identity in identities.items()}


def run_once(
    checks: Mapping[K, tuple[HealthCheck, Target]], *, limit: int = 500
) -> dict[K, Result]:
    """`check_once` for callers without an event loop."""
    return asyncio.run(check_once(checks, limit=limit))


async def _work(waiting: Iterator[Identity], results: dict[Identity, Result]) -> None:
    for check, target in waiting:
        results[check, target] = await probe(check, target)


def _affordable() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    return max(1, (soft - _RESERVED_FILES) // _FILES_PER_PROBE)
