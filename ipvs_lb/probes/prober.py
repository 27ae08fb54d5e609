"""Executes probes on the event loop: the many simple ones as callbacks, all others as a task each."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from functools import partial

from ipvs_lb.model.checks import ExecCheck
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.probes.failures import os_failure, printable
from ipvs_lb.probes.fast.poller import Poller
from ipvs_lb.probes.fast.route import Route, route
from ipvs_lb.probes.probe import execute

_PROGRAMS = 64
_FORGET = 600.0


def raise_fd_limit() -> int:
    """Allow this process all the files it may allow itself; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class LoopProber:
    """An `ipvs_lb.ports.Prober` for the running loop; `close` gives up what is under way.

    Programs run *programs* at a time at most, and the others wait: their time has not begun then.
    """

    def __init__(self, *, programs: int = _PROGRAMS) -> None:
        self._programs = asyncio.Semaphore(programs)
        self._poller: Poller | None = None
        self._tasks: dict[asyncio.Task[Result], Callable[[Result], None] | None] = {}
        self._routes = _Routes()

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        """Begin one execution; the returned function gives it up."""
        ready = self._routes.of(probe)
        if ready is None:
            return self._start_task(probe, done)
        if self._poller is not None:
            return self._poller.start(ready, done)
        loop = asyncio.get_running_loop()
        try:
            self._poller = Poller(loop)
        except OSError as error:
            failure = os_failure(error, "starting")
            result = Result(error=failure.error, detail=failure.detail)
            return loop.call_soon(done, result).cancel
        return self._poller.start(ready, done)

    def close(self) -> None:
        """Give up everything under way, without results."""
        if self._poller is not None:
            self._poller.close()
            self._poller = None
        for task in self._tasks:
            self._give_up(task)

    def _start_task(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._execute(probe), name=f"probe {probe.target}")
        self._tasks[task] = done
        task.add_done_callback(self._end)
        return partial(self._give_up, task)

    def _give_up(self, task: asyncio.Task[Result]) -> None:
        if task in self._tasks:
            self._tasks[task] = None
            task.cancel()

    async def _execute(self, probe: Probe) -> Result:
        if isinstance(probe.check.method, ExecCheck):
            async with self._programs:
                return await execute(probe)
        return await execute(probe)

    def _end(self, task: asyncio.Task[Result]) -> None:
        done = self._tasks.pop(task)
        if task.cancelled():
            return
        bug = task.exception()
        if bug is not None:
            loop = task.get_loop()
            message = f"{task.get_name()} crashed"
            loop.call_exception_handler({"message": message, "exception": bug, "task": task})
        if done is not None:
            done(task.result() if bug is None else _crashed(bug))


def _crashed(bug: BaseException) -> Result:
    """Its monitor goes on, and the server does not suffer for it."""
    return Result(error=ErrorClass.LOCAL, detail=printable(f"a bug: {bug!r}"))


class _Routes:
    """Routes of probes that ran in the last ten to twenty minutes: what is no longer probed is forgotten."""

    def __init__(self) -> None:
        self._now: dict[Probe, Route | None] = {}
        self._before: dict[Probe, Route | None] = {}
        self._until = 0.0

    def of(self, probe: Probe) -> Route | None:
        try:
            return self._now[probe]
        except KeyError:
            pass
        now = time.monotonic()
        if now > self._until:
            self._before, self._now, self._until = self._now, {}, now + _FORGET
        found = self._before.pop(probe) if probe in self._before else route(probe)
        self._now[probe] = found
        return found
