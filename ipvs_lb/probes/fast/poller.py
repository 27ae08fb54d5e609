"""Many attempts on one epoll, which the event loop sees as one file descriptor.

The loop's own way costs a registration and a callback object per socket and phase; here it is one system call per
socket, and one wake-up for all that became ready together.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from functools import partial

from ipvs_lb.model.results import Result
from ipvs_lb.probes.fast.attempt import EVENTS, Attempt
from ipvs_lb.probes.fast.deadlines import Deadlines
from ipvs_lb.probes.fast.route import Route

_BATCH = 256
_GRAIN = 0.02  # so much too late may a timeout be noticed


class Poller:
    """Attempts under way on *loop*. Raises OSError when there is no file descriptor left to begin with."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._attempts: dict[int, Attempt] = {}
        self._deadlines = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._batch = 0
        loop.add_reader(self._epoll.fileno(), self._poll)

    def start(self, route: Route, done: Callable[[Result], None]) -> Callable[[], None]:
        """Begin an attempt; *done* is called on the loop with its result, unless the returned function is called first."""
        now = self._loop.time()
        attempt = Attempt(route, now, done)
        result = attempt.connect()
        if result is not None:
            return self._refused(attempt, result)
        attempt.batch = self._batch
        self._attempts[attempt.fd] = attempt
        self._epoll.register(attempt.fd, EVENTS)
        self._deadlines.add(attempt, now)
        if self._timer is None:
            self._timer = self._loop.call_at(now + route.timeout, self._expire)
        return partial(self._close, attempt)

    def close(self) -> None:
        """Give up everything under way."""
        if self._timer is not None:
            self._timer.cancel()
        for attempt in tuple(self._attempts.values()):
            self._close(attempt)
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _refused(self, attempt: Attempt, result: Result) -> Callable[[], None]:
        """Over before it began, which callers learn like everything else: later."""
        attempt.close()
        return self._loop.call_soon(attempt.done, result).cancel

    def _poll(self) -> None:
        self._batch += 1
        attempts, batch, now = self._attempts, self._batch, self._loop.time()
        for fd, events in self._epoll.poll(0, _BATCH):
            attempt = attempts.get(fd)
            # One that began in this batch has the number of one that ended in it: the event is not its own.
            if attempt is not None and attempt.batch != batch:
                self._advance(attempt, events, now)

    def _advance(self, attempt: Attempt, events: int, now: float) -> None:
        result = attempt.advance(events, now)
        if result is not None:
            self._close(attempt)
            attempt.done(result)
        elif attempt.is_hungry:
            self._loop.call_soon(self._resume, attempt)

    def _resume(self, attempt: Attempt) -> None:
        if attempt.is_open and attempt.is_hungry:
            self._advance(attempt, select.EPOLLIN, self._loop.time())

    def _close(self, attempt: Attempt) -> None:
        """Closing a socket takes it out of the epoll as well (epoll(7))."""
        if attempt.is_open:
            del self._attempts[attempt.fd]
            attempt.close()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for attempt in self._deadlines.expired(now):
            result = attempt.expire(now)
            self._close(attempt)
            attempt.done(result)
        first = self._deadlines.first()
        if first is not None and self._timer is None:
            self._timer = self._loop.call_at(max(first, now + _GRAIN), self._expire)
