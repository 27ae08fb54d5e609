"""What is due when: a heap whose items can be moved and taken out without searching it."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")

_SMALL = 64


class Schedule(Generic[T]):
    """Items with the time each is due, every item once at most. Times are of any clock, always the same one."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._numbers: dict[T, int] = {}
        self._next_number = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, item: T) -> bool:
        return item in self._numbers

    def put(self, item: T, due: float) -> None:
        """Have *item* due at *due*, whenever it was due before."""
        number = self._next_number
        self._next_number = number + 1
        moved = item in self._numbers
        self._numbers[item] = number
        heapq.heappush(self._heap, (due, number, item))
        if moved:
            self._shrink()

    def remove(self, item: T) -> None:
        """Take *item* out, if it is in."""
        if self._numbers.pop(item, None) is not None:
            self._shrink()

    def next_due(self) -> float | None:
        """When the first item is due; None when there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> tuple[float, T] | None:
        """Take out the item that has been due longest at *now*, with its time; None when nothing is due."""
        heap, numbers = self._heap, self._numbers
        while heap and heap[0][0] <= now:
            due, number, item = heapq.heappop(heap)
            if numbers.get(item) == number:
                del numbers[item]
                return due, item
        return None

    def pop_all(self, now: float) -> list[tuple[float, T]]:
        """Take out everything that is due at *now*, longest due first."""
        entries = []
        while (entry := self.pop(now)) is not None:
            entries.append(entry)
        return entries

    def _drop_stale(self) -> None:
        heap, numbers = self._heap, self._numbers
        while heap and numbers.get(heap[0][2]) != heap[0][1]:
            heapq.heappop(heap)

    def _shrink(self) -> None:
        """Forget what was taken out once it is most of the heap, so that removing costs the same on average."""
        if len(self._heap) > 2 * len(self._numbers) + _SMALL:
            self._heap = [entry for entry in self._heap if self._numbers.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)
