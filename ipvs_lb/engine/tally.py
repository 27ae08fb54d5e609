"""Counting what happens ten thousand times a second: adding costs next to nothing, values are made when asked for."""

from __future__ import annotations

from bisect import bisect_left

from ipvs_lb.model.activity import Distribution, ProbeActivity
from ipvs_lb.model.results import ErrorClass, Result

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds between which durations are told apart."""


class Tally:
    """A distribution that grows."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count *value*."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def so_far(self) -> Distribution:
        """What was counted until now."""
        return Distribution(bounds=self._bounds, counts=tuple(self._counts), total=self._total)


class ProbeTally:
    """The probes of one type of check."""

    __slots__ = ("_durations", "_results")

    def __init__(self) -> None:
        self._durations = Tally()
        self._results: dict[ErrorClass | None, int] = {None: 0}

    def add(self, result: Result) -> None:
        """Count one execution."""
        self._durations.add(result.timings.total)
        self._results[result.error] = self._results.get(result.error, 0) + 1

    def so_far(self) -> ProbeActivity:
        """What was counted until now."""
        return ProbeActivity(durations=self._durations.so_far(), results=dict(self._results))
