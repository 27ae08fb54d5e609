"""Clients that ask again and again, at a steady pace, whatever becomes of the answers; every request is kept.

For servers that are `ipvs_lb.lab.backends`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ipvs_lb.errors import LabError
from ipvs_lb.lab.backends import ASK, NAMED, PATH
from ipvs_lb.lab.clients import SOCKET_KINDS
from ipvs_lb.lab.hosts import Host

_BUFFER = 65536
_MOST_AT_ONCE = 500
_REQUEST = f"GET {PATH} HTTP/1.0\r\n\r\n".encode()
_NAME = re.compile(re.escape(NAMED) + rb"(\S+)\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Where requests go, and from which of the client's addresses."""

    protocol: str
    address: str
    port: int
    source: str


@dataclass(slots=True)
class Request:
    """One request: when it was sent, and the server that answered or why none did; neither yet: under way."""

    goal: Goal
    sent: float
    server: str = ""
    error: str = ""
    took: float = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether it may still be answered."""
        return not self.server and not self.error


class Traffic:
    """Requests of *client*, while the `with` block lasts: *rate* a second for each name, its goals in turn."""

    def __init__(
        self,
        client: Host,
        goals: Mapping[str, Sequence[Goal]],
        *,
        rate: float,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._goals = goals
        self._pause = 1 / rate
        self._timeout = timeout
        self._clock = clock
        self._sent: dict[str, list[Request]] = {name: [] for name in goals}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._client.call(self._thread.start)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def requests(self, name: str) -> tuple[Request, ...]:
        """All that were sent to *name* so far, oldest first."""
        return tuple(self._sent[name])

    def _run(self) -> None:
        self._loop.run_until_complete(self._ask_all())

    async def _ask_all(self) -> None:
        askers = [asyncio.create_task(self._ask(name)) for name in self._goals]
        await self._stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*askers, *others, return_exceptions=True)

    async def _ask(self, name: str) -> None:
        under_way: set[asyncio.Task[None]] = set()
        due = self._loop.time()
        for goal in itertools.cycle(self._goals[name]):
            if len(under_way) < _MOST_AT_ONCE:
                request = Request(goal, self._clock())
                self._sent[name].append(request)
                task = asyncio.create_task(self._finish(request))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            due = max(due + self._pause, self._loop.time() - 1)  # after a standstill, no rush
            await asyncio.sleep(due - self._loop.time())

    async def _finish(self, request: Request) -> None:
        try:
            request.server = await _answer(request.goal, self._timeout)
        except OSError as error:
            request.error = _reason(error, self._timeout)
        request.took = self._clock() - request.sent


def ask(client: Host, goal: Goal, *, timeout: float) -> str:
    """The name of the server that answers one request. Raises LabError when none does."""
    try:
        return client.call(lambda: asyncio.run(_answer(goal, timeout)))
    except OSError as error:
        where = f"{goal.protocol} to {goal.address} port {goal.port}"
        raise LabError(f"{client.name}: {where}: {_reason(error, timeout)}") from error


def _reason(error: OSError, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return os.strerror(error.errno) if error.errno else str(error)


async def _answer(goal: Goal, timeout: float) -> str:  # noqa: ASYNC109 - of a request, told in its error
    async with asyncio.timeout(timeout):
        return await _exchange(goal)


async def _exchange(goal: Goal) -> str:
    """The name that is answered."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in goal.address else socket.AF_INET
    with socket.socket(family, *SOCKET_KINDS[goal.protocol]) as connection:
        connection.setblocking(False)
        connection.bind((goal.source, 0))
        await loop.sock_connect(connection, (goal.address, goal.port))
        await loop.sock_sendall(connection, ASK if goal.protocol == "udp" else _REQUEST)
        received = b""
        while True:
            part = await loop.sock_recv(connection, _BUFFER)
            received += part
            if found := _NAME.search(received):
                return found[1].decode()
            if not part:
                raise ConnectionError("it ended without an answer")
