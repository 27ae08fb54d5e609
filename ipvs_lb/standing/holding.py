"""What the process that holds a lab does, whether the lab is in its kernel or in a guest's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable

from ipvs_lb.unix_peer import unix_peer


def end_when_told() -> None:
    """SIGTERM ends this process, and with it the lab."""
    signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def watch(
    listening: socket.socket,
    serve: Callable[[socket.socket], None],
    ended: threading.Event,
    *,
    is_leashed: bool,
) -> None:
    """Have *serve* called for every connection of ours or root's, each in a thread; the end of a leash sets *ended*."""
    threading.Thread(target=_accept, args=(listening, serve), daemon=True).start()
    if is_leashed:
        threading.Thread(target=_watch_leash, args=(ended,), daemon=True).start()


def _accept(listening: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            if unix_peer(connection)[1] in {0, os.geteuid()}:
                threading.Thread(target=serve, args=(connection,), daemon=True).start()
            else:
                connection.close()


def _watch_leash(ended: threading.Event) -> None:
    while os.read(0, 64):
        pass
    ended.set()
