"""When to give attempts up: a queue per timeout, since of equal timeouts the first to start is the first to expire."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ipvs_lb.probes.fast.attempt import Attempt


class Deadlines:
    """The deadlines of open attempts; those that were closed are forgotten on the way."""

    def __init__(self) -> None:
        self._queues: dict[float, deque[tuple[float, Attempt]]] = {}

    def add(self, attempt: Attempt, now: float) -> None:
        """Give *attempt* its timeout from *now* on."""
        timeout = attempt.route.timeout
        queue = self._queues.get(timeout)
        if queue is None:
            queue = self._queues[timeout] = deque()
        while queue and not queue[0][1].is_open:
            queue.popleft()
        queue.append((now + timeout, attempt))

    def first(self) -> float | None:
        """The next deadline; None when nothing is open."""
        for timeout in tuple(self._queues):
            queue = self._queues[timeout]
            while queue and not queue[0][1].is_open:
                queue.popleft()
            if not queue:
                del self._queues[timeout]
        return min((queue[0][0] for queue in self._queues.values()), default=None)

    def expired(self, now: float) -> Iterator[Attempt]:
        """The open attempts whose time is over at *now*, each once."""
        for queue in tuple(self._queues.values()):
            while queue and queue[0][0] <= now:
                _, attempt = queue.popleft()
                if attempt.is_open:
                    yield attempt
