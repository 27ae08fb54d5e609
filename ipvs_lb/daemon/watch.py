"""Tells when the configuration's files are no longer what was last read of them.

Rules kept here:
1. Files are looked at; inotify only says when. So it does not matter how an editor, a configuration management or a
   swapped link replaces them, nor whether an event was lost. Where inotify cannot hear everything, and for a second
   look, time says when.
2. What counts is the state of a file just before it was read: a change while loading is not missed.
3. A change counts once two looks in a row found the same; a file that is still being written waits.
4. What was refused is not tried again until something changes once more.
5. There is at most one look a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

from ipvs_lb.config.documents import Seen, is_pattern, matching
from ipvs_lb.daemon.inotify import CONTENT, NAMES, Bell
from ipvs_lb.model.config import Config

PERIOD = 1.0
"""Seconds between two looks at the files at least; where not every change is heard, exactly."""
SILENCE = 60.0
"""Seconds until files are looked at although nothing was heard: a file system may have been mounted over them."""
_LINKS = 40  # as many as the kernel follows
_TRIES = 3

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
        status = os.stat(path)  # noqa: PTH116  # a third of the cost of Path.stat, for a thousand files at a time
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def places(paths: Iterable[Path]) -> dict[str, int]:
    """Where *paths* can change: the directories in which a part of them is looked up, and what they lead to.

    Links are followed, so that a swapped one is heard wherever it stands.
    """
    found: dict[str, int] = {}
    links: dict[str, str | None] = {}
    for path in paths:
        *folders, last = _steps(os.fspath(path.absolute()), links)
        found.update(dict.fromkeys(folders, NAMES))
        found.setdefault(last, CONTENT)
    return found


def _steps(path: str, links: dict[str, str | None]) -> Iterator[str]:
    """Each directory on the way, then what *path* leads to; the way ends early where there is nothing."""
    parts, here, followed = deque(path.split("/")), "/", 0
    while parts:
        part = parts.popleft()
        if part in {"", "."}:
            continue
        yield here
        step = os.path.normpath(os.path.join(here, part))  # noqa: PTH118  # strings are wanted
        target = links[step] if step in links else links.setdefault(step, _target(step))
        if target is None:
            here = step
            continue
        followed += 1
        if followed > _LINKS:
            break
        parts.extendleft(reversed(target.split("/")))
        here = "/" if target.startswith("/") else here
    yield here


def _target(path: str) -> str | None:
    """Where a link leads; None when it is none."""
    try:
        return os.readlink(path)  # noqa: PTH115  # a string is wanted
    except OSError:
        return None


class Source:
    """A configuration and what its files looked like when they were read."""

    def __init__(self, load: Callable[[Seen], Config]) -> None:
        self._load = load
        self._marks: Mapping[Path, Mark] = {}
        self._is_watched = False
        self._told: Callable[[], object] = lambda: None

    def load(self) -> Config:
        """The configuration as it is now. Raises ConfigError; what was read counts as read all the same."""
        marks: dict[Path, Mark] = {}

        def note(path: Path) -> None:
            marks[path] = mark(path)

        try:
            config = self._load(note)
            self._is_watched = config.daemon.watch
        finally:
            self._marks = marks
            self._told()
        return config

    @contextlib.contextmanager
    def telling(self, told: Callable[[], object]) -> Iterator[None]:
        """Have *told* called after every load, in the thread that loads."""
        self._told = told
        yield
        self._told = lambda: None

    def paths(self) -> tuple[Path, ...]:
        """What was read; nothing unless the configuration wants to be watched."""
        return tuple(self._marks) if self._is_watched else ()

    def changes(self) -> Mapping[Path, Mark]:
        """The files that are not as they were, as they are now; none unless the configuration wants to be watched."""
        if not self._is_watched:
            return {}
        now = {path: mark(path) for path in self._marks}
        return {path: found for path, found in now.items() if found != self._marks[path]}


async def follow(source: Source, reload: Callable[[], Awaitable[None]], threads: Executor) -> None:
    """Call *reload*, which loads *source* whatever comes of it, after every change, until cancelled."""
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    before: Mapping[Path, Mark] = {}
    with (
        _ringing(woken) as bell,
        source.telling(lambda: loop.call_soon_threadsafe(woken.set)),
    ):
        while True:
            hears = await loop.run_in_executor(threads, _listen, bell, source)
            now = await loop.run_in_executor(threads, source.changes)
            if now and now == before:
                await reload()
                now = {}
            before = now
            await asyncio.sleep(PERIOD)
            if hears and not before:
                await _wait(woken)
            woken.clear()


@contextlib.contextmanager
def _ringing(woken: asyncio.Event) -> Iterator[Bell]:
    """A bell that sets *woken*."""
    loop = asyncio.get_running_loop()

    def ring() -> None:
        bell.hush()
        woken.set()

    with contextlib.closing(Bell()) as bell:
        if not bell.can_ring:
            yield bell
            return
        loop.add_reader(bell, ring)
        try:
            yield bell
        finally:
            loop.remove_reader(bell)


def _listen(bell: Bell, source: Source) -> bool:
    """Have *bell* ring for the files of *source*; whether it will for all of them."""
    wanted, hears = places(source.paths()), False
    for _ in range(_TRIES):
        hears = bell.watch(wanted)
        before, wanted = wanted, places(source.paths())
        if wanted == before:  # what came in between was heard
            return hears
    return False


async def _wait(woken: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SILENCE):
            await woken.wait()
