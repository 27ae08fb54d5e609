"""A prober on any clock that keeps the law of `ipvs_lb.ports.Prober`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result, Timings

PASS = Result()
FAIL = Result(error=ErrorClass.REFUSED, detail="connecting: Connection refused")


class FakeProber:
    """Every probe takes `takes` seconds and passes, unless `results` or `durations` say otherwise for it."""

    def __init__(self, *, takes: float = 0.0) -> None:
        self.takes = takes
        self.results: dict[Probe, Result] = {}
        self.durations: dict[Probe, float] = {}
        self.starts: dict[Probe, list[float]] = {}
        self.running: dict[Probe, int] = {}
        self.given_up: list[Probe] = []
        self.most_at_once = 0
        self.overlapped = False

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        self.starts.setdefault(probe, []).append(loop.time())
        self.overlapped |= probe in self.running
        self.running[probe] = self.running.get(probe, 0) + 1
        self.most_at_once = max(self.most_at_once, len(self.running))
        takes = self.durations.get(probe, self.takes)
        timer = loop.call_later(takes, self._end, probe, takes, done)

        def give_up() -> None:
            timer.cancel()
            del self.running[probe]
            self.given_up.append(probe)

        return give_up

    def _end(self, probe: Probe, takes: float, done: Callable[[Result], None]) -> None:
        del self.running[probe]
        result = self.results.get(probe, PASS)
        done(
            Result(
                error=result.error,
                detail=result.detail,
                timings=Timings(total=takes),
                weight=result.weight,
                agent=result.agent,
            )
        )
