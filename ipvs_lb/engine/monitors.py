"""When each probe runs, and what its results add up to.

Rules kept here:
1. A new probe starts within the first second, or within its interval when that is shorter; so that a thousand new ones
   do not stay in step, the second start comes after a random part of the interval.
2. After that, starts are one pause apart, counted from when the last one should have been: lateness does not add up.
   A start that was missed is skipped, and a probe never runs twice at the same time. Where many are due, a start may
   be a tenth of a second late: waking up for each would cost more than the probe itself.
3. A process that was stopped for a while goes on in the same rhythm; timeouts from before are its own.
4. Above `concurrency` probes wait in line.
5. Probes that stay wanted keep their schedule and their history; where only times or thresholds of one have changed,
   it keeps its history.

The schedule follows the event loop's clock, which no change of the wall clock moves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import partial
from random import random as uniform
from types import MappingProxyType

from ipvs_lb.engine.control import Outcome, ProbeView
from ipvs_lb.engine.history import History
from ipvs_lb.engine.schedule import Schedule
from ipvs_lb.engine.tally import ProbeTally
from ipvs_lb.health import NEW, Health
from ipvs_lb.model.activity import ProbeActivity
from ipvs_lb.model.checks import method_name
from ipvs_lb.model.probe import Probe, content_of
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.ports import Prober

CONCURRENCY = 4096
_FIRST_SECONDS = 1.0
_STALL = 1.0  # a scheduler this late did not run; an overloaded one is late by less, or always
_LONGEST = 3600.0  # between two looks at an empty schedule
_SLICE = 64  # starts in a row, after which the loop's other work has its turn
_GRAIN = 0.1  # starts closer to each other than this share a wake-up: a cold cache is what Python pays most for


@dataclass(slots=True, eq=False)
class _Monitor:
    """One probe: `started` is when its last execution should have started, `began` when it did (loop time)."""

    probe: Probe
    history: History
    tally: ProbeTally
    health: Health = NEW
    started: float = 0.0
    began: float = 0.0
    running: bool = False
    spread: bool = False
    heard: bool = False
    give_up: Callable[[], None] | None = None


class Monitors:
    """The probes that are wanted, each executed in its rhythm; `health` is what is believed of each.

    *clock* gives Unix seconds and never goes back. *changed* is told a probe after its first result, and after every
    further one that changed what policy sees of it: its status, what it reported, its changes.
    """

    def __init__(
        self,
        prober: Prober,
        changed: Callable[[Probe], None],
        *,
        clock: Callable[[], float],
        random: Callable[[], float] = uniform,
        concurrency: int = CONCURRENCY,
        history: int = 20,
    ) -> None:
        self._prober = prober
        self._changed = changed
        self._clock = clock
        self._random = random
        self._concurrency = concurrency
        self._history_size = history
        self._monitors: dict[Probe, _Monitor] = {}
        self._tallies: dict[str, ProbeTally] = {}
        self._users: Mapping[Probe, int] = {}
        self._restored: dict[Probe, Health] = {}
        self._health: dict[Probe, Health] = {}
        self._fresh: dict[_Monitor, None] = {}
        self._schedule: Schedule[_Monitor] = Schedule()
        self._running: set[_Monitor] = set()
        self._asked: dict[_Monitor, list[asyncio.Future[Outcome | None]]] = {}
        self._awaited: dict[_Monitor, list[asyncio.Future[Outcome | None]]] = {}
        # Asking for the running loop costs a system call in Python 3.11, so it is asked for once, by `run`.
        self._loop: asyncio.AbstractEventLoop
        self._time: Callable[[], float]
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = -math.inf
        self._starting = False
        self._ticked = -math.inf
        self.health: Mapping[Probe, Health] = MappingProxyType(self._health)

    def restore(self, health: Mapping[Probe, Health]) -> None:
        """Believe *health*: of monitored probes at once, of others when the next `keep` brings them."""
        for probe, believed in health.items():
            monitor = self._monitors.get(probe)
            if monitor is None:
                self._restored[probe] = believed
            else:
                self._believe(monitor, believed)

    def keep(self, wanted: Mapping[Probe, int], changed: Set[Probe] | None = None) -> None:
        """Monitor exactly the probes of *wanted*, each with its number of users, which must stay as it is.

        None but *changed* probes come or go, where that is known: the others are then not looked at.
        """
        going, coming = (tuple(self._monitors), wanted) if changed is None else (changed, changed)
        gone = [self._drop(probe) for probe in going if probe not in wanted]
        new = [
            self._new(probe) for probe in coming if probe in wanted and probe not in self._monitors
        ]
        if gone and new:
            _inherit({content_of(monitor.probe): monitor for monitor in gone}, new)
        for monitor in new:
            probe = monitor.probe
            self._believe(monitor, self._restored.get(probe, monitor.health))
            self._fresh[monitor] = None
        self._restored.clear()
        self._users = wanted
        self._wake()

    def view(self, probe: Probe) -> ProbeView:
        """What there is to say of *probe* now. Raises KeyError when it is not monitored."""
        monitor = self._monitors[probe]
        return ProbeView(
            probe=probe,
            health=monitor.health,
            history=monitor.history,
            users=self._users[probe],
        )

    def views(self) -> Mapping[Probe, ProbeView]:
        """The view of every probe, made when it is asked for: what it shows is always of now."""
        return _Views(self._monitors, self.view)

    def activity(self) -> Mapping[str, ProbeActivity]:
        """What was counted of the probes of each type of check, also of those that are gone."""
        return {name: tally.so_far() for name, tally in self._tallies.items()}

    def history(self, probe: Probe) -> tuple[Outcome, ...]:
        """The last outcomes of *probe*, oldest first. Raises KeyError when it is not monitored."""
        return self._monitors[probe].history.outcomes()

    async def check(self, probes: Iterable[Probe]) -> Mapping[Probe, Outcome]:
        """The outcome of executing *probes* now, out of turn, begun after this was called.

        Probes that are not monitored, or no longer when they are done, are left out. Needs `run`.
        """
        futures = {
            probe: self._ask(self._monitors[probe]) for probe in probes if probe in self._monitors
        }
        self._wake()
        try:
            outcomes = {probe: await future for probe, future in futures.items()}
        finally:
            for future in futures.values():
                future.cancel()
        return {probe: outcome for probe, outcome in outcomes.items() if outcome is not None}

    async def run(self) -> None:
        """Execute the probes until cancelled; then those under way are given up."""
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._alarm_at = -math.inf
        self._tick()
        try:
            await self._loop.create_future()
        finally:
            self._stop()

    def _stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for monitor in tuple(self._running):
            self._give_up(monitor)
            self._fresh[monitor] = None
        for monitor in tuple(self._asked):
            _tell(self._asked.pop(monitor), None)

    def _new(self, probe: Probe) -> _Monitor:
        name = method_name(probe.check.method)
        if name not in self._tallies:
            self._tallies[name] = ProbeTally()
        monitor = _Monitor(probe, History(self._history_size), self._tallies[name])
        self._monitors[probe] = monitor
        return monitor

    def _believe(self, monitor: _Monitor, health: Health) -> None:
        monitor.health = self._health[monitor.probe] = health

    def _drop(self, probe: Probe) -> _Monitor:
        monitor = self._monitors.pop(probe)
        del self._health[probe]
        self._fresh.pop(monitor, None)
        self._schedule.remove(monitor)
        self._give_up(monitor)
        _tell(self._asked.pop(monitor, ()), None)
        return monitor

    def _give_up(self, monitor: _Monitor) -> None:
        """End its execution, if there is one, without a result."""
        monitor.running = False
        self._running.discard(monitor)
        if monitor.give_up is not None:
            monitor.give_up()
            monitor.give_up = None
        _tell(self._awaited.pop(monitor, ()), None)

    def _ask(self, monitor: _Monitor) -> asyncio.Future[Outcome | None]:
        future = asyncio.get_running_loop().create_future()
        self._asked.setdefault(monitor, []).append(future)
        if not monitor.running:
            self._fresh.pop(monitor, None)
            self._schedule.put(monitor, -math.inf)
        return future

    def _tick(self) -> None:
        self._ticked = now = self._time()
        try:
            self._start_due(now)
        finally:
            self._set_alarm(self._next_alarm(now))

    def _set_alarm(self, at: float) -> None:
        """Have the next tick at *at*, and not when it was to be before."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = min(at, self._time() + _LONGEST)
        self._alarm = self._loop.call_at(self._alarm_at, self._tick)

    def _next_alarm(self, now: float) -> float:
        if self._full():
            return now + _STALL
        due = self._schedule.next_due()
        if due is None:
            return math.inf
        return now if due <= now else max(due, now + _GRAIN)

    def _wake(self) -> None:
        """Have what has become due started, once `run` is there to do it."""
        if self._alarm is not None:
            self._set_alarm(self._time())

    def _full(self) -> bool:
        return len(self._running) >= self._concurrency

    def _start_due(self, now: float) -> None:
        self._starting = True
        try:
            self._place_fresh(now)
            if now - self._alarm_at > _STALL:
                self._skip_missed(now)
            for _ in range(_SLICE):
                if self._full() or (entry := self._schedule.pop(now)) is None:
                    break
                due, monitor = entry
                self._start(monitor, now if due == -math.inf else due, now)
        finally:
            self._starting = False

    def _place_fresh(self, now: float) -> None:
        for monitor in self._fresh:
            window = min(monitor.probe.check.interval, _FIRST_SECONDS)
            self._schedule.put(monitor, now + window * self._random())
        self._fresh.clear()

    def _skip_missed(self, now: float) -> None:
        for due, monitor in self._schedule.pop_all(now):
            if due == -math.inf:
                self._schedule.put(monitor, due)
                continue
            pause = monitor.health.pause(monitor.probe.check)
            self._schedule.put(monitor, _on_grid(due, pause, now))

    def _start(self, monitor: _Monitor, due: float, now: float) -> None:
        monitor.started, monitor.began, monitor.running = due, now, True
        self._running.add(monitor)
        if self._asked and monitor in self._asked:
            self._awaited[monitor] = self._asked.pop(monitor)
        give_up = self._prober.start(monitor.probe, partial(self._finish, monitor))
        if monitor.running:
            monitor.give_up = give_up

    def _finish(self, monitor: _Monitor, result: Result) -> None:
        now = self._time()
        was_full = self._full()
        monitor.running, monitor.give_up = False, None
        self._running.discard(monitor)
        due = self._take(monitor, _excused(monitor, result, now), now)
        if self._starting or self._alarm is None:
            return
        if was_full:
            self._start_due(now)
            self._set_alarm(self._next_alarm(now))
        elif due < self._alarm_at:
            self._set_alarm(min(self._alarm_at, max(due, self._ticked + _GRAIN)))

    def _take(self, monitor: _Monitor, result: Result, now: float) -> float:
        """Let *result* count; returns when the next start is due."""
        at = self._clock()
        monitor.history.add(at, result)
        monitor.tally.add(result)
        before, health = monitor.health, monitor.health.after(result, monitor.probe.check, at)
        if health is not before:
            self._believe(monitor, health)
        due = self._next_start(monitor, now)
        self._schedule.put(monitor, due)
        if self._awaited:
            _tell(self._awaited.pop(monitor, ()), Outcome(at=at, result=result))
        if not monitor.heard or _looks_different(before, health):
            monitor.heard = True
            self._changed(monitor.probe)
        return due

    def _next_start(self, monitor: _Monitor, now: float) -> float:
        if monitor in self._asked:
            return -math.inf
        check = monitor.probe.check
        pause = monitor.health.pause(check)
        if not monitor.spread and pause == check.interval:
            monitor.spread = True
            return _on_grid(monitor.started + pause * (1.0 - self._random()), pause, now)
        return _on_grid(monitor.started + pause, pause, now)


class _Views(Mapping[Probe, ProbeView]):
    def __init__(
        self, monitors: Mapping[Probe, _Monitor], view: Callable[[Probe], ProbeView]
    ) -> None:
        self._monitors = monitors
        self._view = view

    def __getitem__(self, probe: Probe) -> ProbeView:
        return self._view(probe)

    def __iter__(self) -> Iterator[Probe]:
        return iter(self._monitors)

    def __len__(self) -> int:
        return len(self._monitors)


def _inherit(gone: Mapping[Probe, _Monitor], new: Iterable[_Monitor]) -> None:
    """Give *new* monitors the memory of those of *gone*, by content, that asked the same."""
    for monitor in new:
        before = gone.get(content_of(monitor.probe))
        if before is not None:
            monitor.health, monitor.heard = before.health, before.heard
            monitor.history = before.history.copy()


def _on_grid(due: float, pause: float, now: float) -> float:
    """The first time that is not over at *now*, of *due* and those whole pauses later."""
    return due if due >= now else due + math.ceil((now - due) / pause) * pause


def _excused(monitor: _Monitor, result: Result, now: float) -> Result:
    """*result*, or this machine's own failure when it is a timeout that came because nothing ran here."""
    if result.error is not ErrorClass.TIMEOUT:
        return result
    took = now - monitor.began
    if took <= monitor.probe.check.timeout + _STALL:
        return result
    detail = f"this process did not run for a while: noticed after {took:.1f} s"
    return replace(result, error=ErrorClass.LOCAL, detail=detail)


def _looks_different(before: Health, after: Health) -> bool:
    """Whether policy can tell the two apart."""
    return after is not before and (
        after.status is not before.status
        or after.reported != before.reported
        or after.changes != before.changes
    )


def _tell(futures: Iterable[asyncio.Future[Outcome | None]], outcome: Outcome | None) -> None:
    for future in futures:
        if not future.done():
            future.set_result(outcome)
