"""The listeners of the API that the configuration asks for, in step with it: TCP ports, and a unix socket.

Rules kept here:
1. What cannot be opened refuses the configuration as a whole: a file that cannot be used, an address in use. The
   listeners that are open stay as they are.
2. A listener whose address and credentials are as before is left alone, with its connections. Files are read at every
   reload, so a certificate that was renewed counts from there on.
3. A port stays open from the old credentials to the new: both listen on it for a moment.
4. A unix socket's file goes with its listener.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipvs_lb.api.credentials import Credentials, read
from ipvs_lb.api.listeners import remove, shared_socket, tcp_socket
from ipvs_lb.errors import ConfigError, LBError
from ipvs_lb.model.api import ApiListener

Stop = Callable[[], None]
_FOR_GROUP = 0o660
BUSY_EXIT = 1
"""Exit code when nothing but an address in use is wrong: trying again may help."""


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A listener that clients can connect to, with what lets them in; `inode` of a unix socket's file."""

    listener: ApiListener
    socket: socket.socket
    credentials: Credentials
    inode: int = 0

    def is_for(self, listener: ApiListener) -> bool:
        """Whether it is at the same place."""
        return self.listener.place == listener.place

    def leave(self) -> None:
        """Remove the file of a unix socket."""
        if self.listener.path is not None:
            remove(Path(self.listener.path), self.inode)


class Openings:
    """The listeners that are open, and those that are ready to take their place.

    `prepare` may block and runs beside the event loop, never at the same time as `enact`. Unix sockets are for *group*.
    """

    def __init__(self, group: str | None = None) -> None:
        self._group = group
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
            if not any(opening.is_for(other.listener) for other in self._open):
                opening.leave()

    def leave(self) -> None:
        """Remove what unix sockets leave behind, at the end."""
        for opening in self._open:
            opening.leave()

    def forget(self) -> None:
        """Close what is ready and has not been opened."""
        for opening in self._ready:
            if opening not in self._open:
                opening.socket.close()
                if not any(opening.is_for(other.listener) for other in self._open):
                    opening.leave()
        self._ready = tuple(self._open)

    def _opening(self, listener: ApiListener, wanted: Sequence[ApiListener]) -> Opening:
        for _, flaw in listener.flaws():
            raise LBError(flaw)
        credentials = read(listener)
        same = next((opening for opening in self._open if opening.is_for(listener)), None)
        if same is None and listener.path is not None:
            path = Path(listener.path)
            made = shared_socket(path, group=self._group, mode=_FOR_GROUP)
            return Opening(listener, made, credentials, path.stat().st_ino)
        if same is None:
            with self._shared(wanted) as shared:
                return Opening(listener, tcp_socket(listener, shared=shared), credentials)
        if same.credentials == credentials:
            return same
        return Opening(listener, same.socket.dup(), credentials, same.inode)

    @contextmanager
    def _shared(self, wanted: Sequence[ApiListener]) -> Iterator[bool]:
        """Let a socket be bound to a part of what those that are about to go are bound to."""
        going = [
            opening.socket
            for opening in self._open
            if opening.listener.path is None
            and not any(opening.is_for(listener) for listener in wanted)
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
