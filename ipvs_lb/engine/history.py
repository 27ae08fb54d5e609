"""The last outcomes of one probe, in little memory: ten thousand probes remember twenty each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from struct import Struct
from typing import overload

from ipvs_lb.engine.control import Outcome
from ipvs_lb.model.results import Result, Timings

_ROW = Struct("=d4IB")  # when it ended, four timings in microseconds, the verdict's number
_NOT_REACHED = 0xFFFFFFFF
_MICROSECONDS = 1_000_000
_LONGEST = 3600 * _MICROSECONDS
_NO_TIMINGS = Timings()
_PASSED = (Result(),)


class History(Sequence[Outcome]):
    """At most *size* (1 to 255) outcomes, oldest first; the oldest are forgotten. Timings are kept to the microsecond.

    Verdicts that repeat are kept once; most probes have one, which they share. Outcomes are made when they are asked
    for, so that asking for the last one costs one. The first takes the room of all: ten thousand that grow together
    leave holes as big as they are.
    """

    __slots__ = ("_count", "_failures", "_next", "_rows", "_size", "_verdicts")

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = self._count = self._failures = 0
        self._rows = bytearray()
        self._verdicts: tuple[Result, ...] = _PASSED

    def add(self, at: float, result: Result) -> None:
        """Remember *result*, which came at *at* (Unix seconds)."""
        if not self._rows:
            self._rows = bytearray(_ROW.size * self._size)
        place, timings = self._next, result.timings
        if self._count == self._size:
            self._failures -= self._verdict(place).error is not None
        else:
            self._count += 1
        self._failures += result.error is not None
        number = self._number(result)
        _ROW.pack_into(
            self._rows,
            place * _ROW.size,
            at,
            _packed(timings.connect),
            _packed(timings.tls),
            _packed(timings.first_byte),
            _packed(timings.total),
            number,
        )
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
            place = (self._next - back) % self._size
            if self._verdict(place).error is not None:
                return self._outcome(place)
        return None

    def copy(self) -> History:
        """The same memory, which from here on goes its own way."""
        twin = History(self._size)
        twin._next, twin._count, twin._failures = self._next, self._count, self._failures
        twin._rows, twin._verdicts = self._rows[:], self._verdicts
        return twin

    def _number(self, result: Result) -> int:
        """The number of what *result* says without its timings; a new verdict takes one that no row has."""
        for number, known in enumerate(self._verdicts):
            if _says_the_same(known, result):
                return number
        taken = self._numbers()
        free = next((n for n in range(len(self._verdicts)) if n not in taken), len(self._verdicts))
        verdict = replace(result, timings=_NO_TIMINGS)
        self._verdicts = (*self._verdicts[:free], verdict, *self._verdicts[free + 1 :])
        return free

    def _numbers(self) -> bytearray:
        """The verdict's number in every row, also in those that are still empty."""
        return self._rows[_ROW.size - 1 :: _ROW.size]

    def _verdict(self, place: int) -> Result:
        return self._verdicts[self._rows[(place + 1) * _ROW.size - 1]]

    def _outcome(self, place: int) -> Outcome:
        at, connect, tls, first_byte, total, number = _ROW.unpack_from(
            self._rows, place * _ROW.size
        )
        timings = Timings(
            connect=_seconds(connect),
            tls=_seconds(tls),
            first_byte=_seconds(first_byte),
            total=total / _MICROSECONDS,
        )
        return Outcome(at=at, result=replace(self._verdicts[number], timings=timings))


def _says_the_same(verdict: Result, result: Result) -> bool:
    return (
        verdict.error is result.error
        and verdict.detail == result.detail
        and verdict.weight == result.weight
        and verdict.agent == result.agent
    )


def _packed(seconds: float | None) -> int:
    """Microseconds, at most an hour of them; a mark where there are none."""
    return _NOT_REACHED if seconds is None else min(round(seconds * _MICROSECONDS), _LONGEST)


def _seconds(microseconds: int) -> float | None:
    return None if microseconds == _NOT_REACHED else microseconds / _MICROSECONDS
