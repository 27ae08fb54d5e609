"""Connections from a listening socket to protocols: never more of them than there may be, and TLS in bounded time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from ipvs_lb.api.traffic import Reason, Refuse

_BURST = 64  # connections taken between two turns of the event loop
_PAUSE = 1.0  # seconds without taking any when descriptors or memory have run out


class Acceptor:
    """Takes connections from *listening* from `start` to `stop`, which closes it.

    *count* tells how many connections there are, handshakes under way apart; beyond *most* new ones are closed unread.
    *refuse* is told why there is no connection.
    """

    def __init__(
        self,
        listening: socket.socket,
        connection: Callable[[], asyncio.Protocol],
        *,
        tls: ssl.SSLContext | None,
        handshake_time: float,
        count: Callable[[], int],
        most: int,
        refuse: Refuse,
    ) -> None:
        self._listening = listening
        self._connection = connection
        self._tls = tls
        self._time = None if tls is None else handshake_time
        self._count = count
        self._most = most
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()
        self._welcomes: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Take connections from now on."""
        self._loop.add_reader(self._listening, self._accept)

    def stop(self) -> None:
        """Take no more; handshakes that are under way go on."""
        if self._pause is not None:
            self._pause.cancel()
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening)
            self._listening.close()

    def hurry(self) -> None:
        """Give up on handshakes that are under way."""
        for welcome in self._welcomes:
            welcome.cancel()

    async def settled(self) -> None:
        """Return when no handshake is under way any more."""
        await asyncio.gather(*self._welcomes, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_BURST):
            try:
                taken, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # as asyncio does: waiting helps, looking again at once does not
                self._loop.remove_reader(self._listening)
                self._pause = self._loop.call_later(_PAUSE, self.start)
                return
            if self._count() + len(self._welcomes) >= self._most:
                taken.close()
                self._refuse(Reason.FULL)
                continue
            taken.setblocking(False)
            welcome = self._loop.create_task(self._welcome(taken), name="api connection")
            self._welcomes.add(welcome)
            welcome.add_done_callback(self._welcomes.discard)

    async def _welcome(self, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._connection,
                taken,
                ssl=self._tls,
                ssl_handshake_timeout=self._time,
                ssl_shutdown_timeout=self._time,
            )
        except OSError:
            self._refuse(Reason.HANDSHAKE)  # asyncio has closed it
