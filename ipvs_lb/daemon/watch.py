"""Tells when the configuration's files are no longer what was last read of them.

Rules kept here:
1. Files are looked at, not subscribed to: that works on every file system, and with editors that write a new file
   and rename it over the old one.
2. What counts is the state of a file just before it was read: a change while loading is not missed.
3. A change counts once two looks in a row found the same; a file that is still being written waits.
4. What was refused is not tried again until something changes once more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

from ipvs_lb.config.documents import Seen, is_pattern, matching
from ipvs_lb.model.config import Config

PERIOD = 1.0
"""Seconds between two looks at the files."""

Mark = tuple[int | str, ...]
"""What tells one state of a file, or of a pattern's matches, from the next; empty when there is nothing."""


def mark(path: Path) -> Mark:
    """The state of *path* now: of a pattern the names it stands for, too."""
    return (*(_names(path) if is_pattern(path) else ()), *_state(path))


def _names(pattern: Path) -> Iterator[str]:
    try:
        yield from [found.name for found in matching(pattern)]
    except ValueError:  # no such folder, so nothing in it
        return


def _state(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)  # noqa: PTH116  # a third of the cost of Path.stat, for a thousand files a second
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


class Source:
    """A configuration and what its files looked like when they were read."""

    def __init__(self, load: Callable[[Seen], Config]) -> None:
        self._load = load
        self._marks: Mapping[Path, Mark] = {}
        self._is_watched = False

    def load(self) -> Config:
        """The configuration as it is now. Raises ConfigError; what was read counts as read all the same."""
        marks: dict[Path, Mark] = {}

        def note(path: Path) -> None:
            marks[path] = mark(path)

        try:
            config = self._load(note)
        finally:
            self._marks = marks
        self._is_watched = config.daemon.watch
        return config

    def changes(self) -> Mapping[Path, Mark]:
        """The files that are not as they were, as they are now; none unless the configuration wants to be watched."""
        if not self._is_watched:
            return {}
        now = {path: mark(path) for path in self._marks}
        return {path: found for path, found in now.items() if found != self._marks[path]}


async def follow(source: Source, reload: Callable[[], Awaitable[None]], threads: Executor) -> None:
    """Call *reload*, which loads *source* whatever comes of it, after every change, until cancelled."""
    loop = asyncio.get_running_loop()
    before: Mapping[Path, Mark] = {}
    while True:
        await asyncio.sleep(PERIOD)
        now = await loop.run_in_executor(threads, source.changes)
        if now and now == before:
            await reload()
            now = {}
        before = now
