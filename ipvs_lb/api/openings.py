"""The TCP listeners of the API, in step with the configuration.

Rules kept here:
1. What cannot be opened refuses the configuration as a whole: a file that cannot be used, an address in use. The
   listeners that are open stay as they are.
2. A listener whose address and credentials are as before is left alone, with its connections. Files are read at every
   reload, so a certificate that was renewed counts from there on.
3. A port stays open from the old credentials to the new: both listen on it for a moment.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ipvs_lb.api.credentials import Credentials, read
from ipvs_lb.api.listeners import tcp_socket
from ipvs_lb.errors import ConfigError, LBError
from ipvs_lb.model.api import ApiListener

Stop = Callable[[], None]
BUSY_EXIT = 1
"""Exit code when nothing but an address in use is wrong: trying again may help."""


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A listener that clients can connect to, with what lets them in."""

    listener: ApiListener
    socket: socket.socket
    credentials: Credentials

    def is_for(self, listener: ApiListener) -> bool:
        """Whether it is on the same address and port."""
        mine = self.listener
        return (mine.address, mine.port) == (listener.address, listener.port)


class Openings:
    """The listeners that are open, and those that are ready to take their place.

    `prepare` may block and runs beside the event loop, never at the same time as `enact`.
    """

    def __init__(self) -> None:
        self._open: dict[Opening, Stop] = {}
        self._ready: tuple[Opening, ...] = ()

    def prepare(self, wanted: Sequence[ApiListener]) -> None:
        """Make everything ready for *wanted*; what is open is not touched.

        Raises ConfigError with every problem, and then nothing is ready but what is open.
        """
        self.forget()
        ready: list[Opening] = []
        problems: list[str] = []
        busy = 0
        for listener in wanted:
            try:
                ready.append(self._opening(listener, wanted))
            except LBError as problem:
                problems.append(f"{listener.origin}: {problem}")
                busy += _is_busy(problem)
        self._ready = tuple(ready)
        if problems:
            self.forget()
            error = ConfigError(problems)
            if busy == len(problems):
                error.exit_code = BUSY_EXIT
            raise error

    def enact(self, start: Callable[[Opening], Stop]) -> None:
        """Open what is ready by *start*, and stop what is not among it."""
        gone = self._open.keys() - set(self._ready)
        self._open |= {
            opening: start(opening) for opening in self._ready if opening not in self._open
        }
        for opening in gone:
            self._open.pop(opening)()

    def forget(self) -> None:
        """Close what is ready and has not been opened."""
        for opening in self._ready:
            if opening not in self._open:
                opening.socket.close()
        self._ready = tuple(self._open)

    def _opening(self, listener: ApiListener, wanted: Sequence[ApiListener]) -> Opening:
        for _, flaw in listener.flaws():
            raise LBError(flaw)
        credentials = read(listener)
        same = next((opening for opening in self._open if opening.is_for(listener)), None)
        if same is None:
            with self._shared(wanted) as shared:
                return Opening(listener, tcp_socket(listener, shared=shared), credentials)
        if same.credentials == credentials:
            return same
        return Opening(listener, same.socket.dup(), credentials)

    @contextmanager
    def _shared(self, wanted: Sequence[ApiListener]) -> Iterator[bool]:
        """Let a socket be bound to a part of what those that are about to go are bound to."""
        going = [
            opening.socket
            for opening in self._open
            if not any(opening.is_for(listener) for listener in wanted)
        ]
        for one in going:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            yield bool(going)
        finally:
            for one in going:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def _is_busy(problem: LBError) -> bool:
    return isinstance(problem.__cause__, OSError) and problem.__cause__.errno == errno.EADDRINUSE
