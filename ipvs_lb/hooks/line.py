"""The connection of one attempt, which another thread can cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Line:
    """Held by the thread that talks, cut by whoever has waited long enough; once cut nothing more is said."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self.is_cut = False

    def hold(self, connection: socket.socket) -> socket.socket:
        """*connection*, which `cut` ends from now on. Raises TimeoutError when it is too late."""
        with self._lock:
            if self.is_cut:
                connection.close()
                raise TimeoutError
            self._connection = connection.dup()  # TLS takes the original's descriptor away
        return connection

    def cut(self) -> None:
        """End the connection at once, whatever is going on over it."""
        with self._lock:
            self.is_cut = True
            if self._connection is not None:
                with suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)
                self._connection.close()
                self._connection = None
