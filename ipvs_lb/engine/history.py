"""The last outcomes of one probe, in little memory: ten thousand probes remember twenty each."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from ipvs_lb.engine.control import Outcome
from ipvs_lb.model.results import Result, Timings

_NOT_REACHED = -1.0
_FIELDS = 5  # when it ended, then the four timings
_NO_TIMINGS = Timings()
_EMPTY = array("d")


class History(Sequence[Outcome]):
    """At most *size* outcomes, oldest first; the oldest are forgotten. Verdicts that repeat are kept once.

    Outcomes are made when they are asked for, so that asking for the last one costs one. The first takes the room of
    all: ten thousand that grow together leave holes as big as they are.
    """

    __slots__ = ("_count", "_failures", "_next", "_numbers", "_size", "_verdicts")

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = self._count = self._failures = 0
        self._numbers = _EMPTY
        self._verdicts: list[Result] = []

    def add(self, at: float, result: Result) -> None:
        """Remember *result*, which came at *at* (Unix seconds)."""
        timings = result.timings
        row = array(
            "d",
            (
                at,
                _number(timings.connect),
                _number(timings.tls),
                _number(timings.first_byte),
                timings.total,
            ),
        )
        verdict = self._verdict(result)
        if not self._count:
            self._numbers = row * self._size
            self._verdicts = [verdict] * self._size
        place = self._next
        if self._count == self._size:
            self._failures -= self._verdicts[place].error is not None
        else:
            self._count += 1
        self._failures += verdict.error is not None
        self._verdicts[place] = verdict
        self._numbers[place * _FIELDS : (place + 1) * _FIELDS] = row
        self._next = (place + 1) % self._size

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Outcome: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[Outcome, ...]: ...
    def __getitem__(self, number: int | slice) -> Outcome | tuple[Outcome, ...]:
        count = self._count
        first = self._next if count == self._size else 0
        if isinstance(number, slice):
            return tuple(
                self._outcome((first + one) % count) for one in range(*number.indices(count))
            )
        if not -count <= number < count:
            raise IndexError(number)
        return self._outcome((first + number) % count)

    def outcomes(self) -> tuple[Outcome, ...]:
        """What is remembered, oldest first."""
        return self[:]

    def newest_failure(self) -> Outcome | None:
        """The last outcome that was no success; where all were, none is looked at."""
        if not self._failures:
            return None
        for back in range(1, len(self) + 1):
            if self._verdicts[self._next - back].error is not None:
                return self[-back]
        return None

    def copy(self) -> History:
        """The same memory, which from here on goes its own way."""
        twin = History(self._size)
        twin._next, twin._count, twin._failures = self._next, self._count, self._failures
        twin._numbers, twin._verdicts = self._numbers[:], self._verdicts[:]
        return twin

    def _verdict(self, result: Result) -> Result:
        """*result* without its timings: the one before when it says the same."""
        if self._count:
            last = self._verdicts[self._next - 1]
            if (
                last.error is result.error
                and last.detail == result.detail
                and last.weight == result.weight
                and last.agent == result.agent
            ):
                return last
        return replace(result, timings=_NO_TIMINGS)

    def _outcome(self, place: int) -> Outcome:
        at, connect, tls, first_byte, total = self._numbers[place * _FIELDS : (place + 1) * _FIELDS]
        timings = Timings(
            connect=_seconds(connect),
            tls=_seconds(tls),
            first_byte=_seconds(first_byte),
            total=total,
        )
        return Outcome(at=at, result=replace(self._verdicts[place], timings=timings))


def _number(seconds: float | None) -> float:
    return _NOT_REACHED if seconds is None else seconds


def _seconds(number: float) -> float | None:
    return None if number < 0 else number
