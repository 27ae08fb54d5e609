"""One execution of a TCP or plain HTTP probe, moved on by what its socket reports.

The socket is watched edge-triggered and for both directions from the start, so that one system call sets all of it up;
therefore whoever reads goes on until the kernel has no more or there is a verdict.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable

from ipvs_lb.model.results import ErrorClass, Result, Timings
from ipvs_lb.probes import http
from ipvs_lb.probes.connection import refuse_self_connection
from ipvs_lb.probes.failures import ProbeFailure, os_failure, printable
from ipvs_lb.probes.fast.head import whole_head
from ipvs_lb.probes.fast.route import Route

EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
_WRITABLE = select.EPOLLOUT
_BROKEN = select.EPOLLERR | select.EPOLLHUP
_CHUNK = 16_384
_PASSED = {status: f"status {status}" for status in range(200, 1000)}
_buffer = bytearray(_CHUNK)  # shared: nothing stays in it from one call to the next
_view = memoryview(_buffer)


class Attempt:
    """Begun with `connect`; then `advance` with every event until there is a result, then `close`.

    `batch` is the poller's. `is_open`: it holds a socket. `is_hungry`: there may be more to read, but others come first; `advance` again soon.
    """

    __slots__ = (
        "_answer",
        "_connected",
        "_first_byte",
        "_received",
        "_sock",
        "_started",
        "_unsent",
        "batch",
        "done",
        "fd",
        "is_hungry",
        "is_open",
        "route",
    )

    def __init__(self, route: Route, started: float, done: Callable[[Result], None]) -> None:
        self.route = route
        self.done = done
        self.fd = -1
        self.batch = 0
        self.is_hungry = False
        self.is_open = False
        self._started = started
        self._sock: socket.SocketType | None = None
        self._connected: float | None = None
        self._first_byte: float | None = None
        self._answer: http.Answer | None = None
        self._unsent = route.request
        self._received = 0

    def connect(self) -> Result | None:
        """Begin; the result when it is over already."""
        try:
            sock = self._sock = self.route.open_socket()
            self.fd = sock.fileno()
            self.is_open = True
        except ProbeFailure as failure:
            return self._failed(failure, self._started)
        except OSError as error:
            return self._failed(os_failure(error, "starting"), self._started)
        code = sock.connect_ex(self.route.address)
        if code in {0, errno.EINPROGRESS}:
            return None
        return self._failed(os_failure(_error(code), "connecting"), self._started)

    def close(self) -> None:
        """Give the socket back."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
            self.is_open = False

    def advance(self, events: int, now: float) -> Result | None:
        """Go on as far as it goes; the result when it is over."""
        sock = self._sock
        if sock is None:
            return None
        try:
            if self._connected is None:
                if events != _WRITABLE or self.route.mirrors:
                    if not events & (_WRITABLE | _BROKEN):
                        return None
                    self._settle(sock, events)
                self._connected = now - self._started
                if self._unsent is None:
                    timings = Timings(connect=self._connected, total=self._connected)
                    return Result(timings=timings)
            return self._exchange(sock, events, now)
        except ProbeFailure as failure:
            return self._failed(failure, now)
        except OSError as error:
            return self._failed(os_failure(error, self._doing), now)

    def expire(self, now: float) -> Result:
        """The result when its time is over."""
        detail = f"no result after {self.route.timeout:g} s, while {self._doing}"
        return self._failed(ProbeFailure(ErrorClass.TIMEOUT, detail), now)

    @property
    def _doing(self) -> str:
        return "connecting" if self._connected is None else "waiting for the answer"

    def _settle(self, sock: socket.SocketType, events: int) -> None:
        """Raises OSError when the connection was not made."""
        if events & _BROKEN:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise _error(code)
        if self.route.mirrors:
            refuse_self_connection(sock)

    def _exchange(self, sock: socket.SocketType, events: int, now: float) -> Result | None:
        if self._unsent and not self._send(sock, self._unsent):
            return None
        if events == _WRITABLE and not self.is_hungry:
            return None
        return self._read(sock, now)

    def _send(self, sock: socket.SocketType, unsent: bytes) -> bool:
        """Whether all of the request is out, or will never be."""
        try:
            sent = sock.send(unsent)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            # An early answer may be waiting: servers refuse some requests before they have read them.
            sent = len(unsent)
        self._unsent = unsent[sent:]
        return not self._unsent

    def _read(self, sock: socket.SocketType, now: float) -> Result | None:
        while True:
            try:
                count = sock.recv_into(_buffer)
            except BlockingIOError:
                self.is_hungry = False
                return None
            if self._first_byte is None and count:
                self._first_byte = now - self._started
                if self.route.head_decides:
                    passed = self._passed_at_once(count, now)
                    if passed is not None:
                        return passed
            verdict = self._judge(count)
            if verdict is not None:
                return self._concluded(verdict, now)
            self.is_hungry = self._received > _CHUNK
            if self.is_hungry:
                return None

    def _passed_at_once(self, count: int, now: float) -> Result | None:
        status = whole_head(_buffer, count)
        if status is None or not self.route.expects(status):
            return None
        return Result(detail=_PASSED[status], timings=self._timings(now))

    def _judge(self, count: int) -> http.Verdict | None:
        """Raises ProbeFailure when it is more than the check reads."""
        if self._answer is None:
            self._answer = self.route.new_answer()
        if not count:
            return self._answer.end()
        self._received += count
        if self._received > self.route.budget:
            raise ProbeFailure(ErrorClass.TOO_LARGE, "the server sends more than the check reads")
        return self._answer.feed(bytes(_view[:count]))

    def _concluded(self, verdict: http.Verdict, now: float) -> Result:
        if verdict.error is not None:
            raise ProbeFailure(verdict.error, verdict.detail)
        return Result(detail=printable(verdict.detail), timings=self._timings(now))

    def _failed(self, failure: ProbeFailure, now: float) -> Result:
        return Result(
            error=failure.error, detail=printable(failure.detail), timings=self._timings(now)
        )

    def _timings(self, now: float) -> Timings:
        return Timings(
            connect=self._connected,
            first_byte=self._first_byte,
            total=now - self._started,
        )


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
