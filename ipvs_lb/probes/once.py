"""Many checks, each run once, for the one-shot commands."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator, Mapping
from typing import TypeVar

from ipvs_lb.model.probe import Probe, content_of
from ipvs_lb.model.results import Result
from ipvs_lb.probes.probe import execute

K = TypeVar("K")
Content = tuple[Probe, float]
"""What is asked, and how long it may take."""

_RESERVED_FILES = 64
_FILES_PER_PROBE = 2


async def check_once(probes: Mapping[K, Probe], *, limit: int = 500) -> dict[K, Result]:
    """The result of every probe; those that ask the same run once, *limit* of them at a time at most.

    Fewer run at a time where the process may not open that many files.
    """
    contents = {key: (content_of(probe), probe.check.timeout) for key, probe in probes.items()}
    wanted = {contents[key]: probe for key, probe in probes.items()}
    results: dict[Content, Result] = {}
    waiting = iter(wanted.items())
    async with asyncio.TaskGroup() as group:
        for number in range(min(limit, _affordable(), len(wanted))):
            group.create_task(_work(waiting, results), name=f"probes {number}")
    return {key: results[content] for key, content in contents.items()}


def run_once(probes: Mapping[K, Probe], *, limit: int = 500) -> dict[K, Result]:
    """`check_once` for callers without an event loop."""
    return asyncio.run(check_once(probes, limit=limit))


async def _work(waiting: Iterator[tuple[Content, Probe]], results: dict[Content, Result]) -> None:
    for content, probe in waiting:
        results[content] = await execute(probe)


def _affordable() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = 1 << 20
    return max(1, (soft - _RESERVED_FILES) // _FILES_PER_PROBE)
