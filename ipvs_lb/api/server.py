"""The API's servers: uvicorn with bounds on connections and time, without signal handlers, stopped in less than 1 s.

There is one for the unix socket and one for each TCP listener, with bounds of its own: whoever uses one up leaves the
others free. A listener that a reload takes away lets requests under way end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol

import uvicorn
from anyio import create_task_group
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from ipvs_lb.api import connection
from ipvs_lb.api.acceptor import Acceptor
from ipvs_lb.api.app import Api
from ipvs_lb.api.connection import Connection
from ipvs_lb.api.credentials import Credentials
from ipvs_lb.api.guard import Guard, Turned
from ipvs_lb.api.listeners import unix_socket
from ipvs_lb.api.openings import Opening, Openings, Stop
from ipvs_lb.api.streams import Streams
from ipvs_lb.api.traffic import Refuse, Traffic
from ipvs_lb.engine.control import Control
from ipvs_lb.events import Event, Fact
from ipvs_lb.model.api import Face

MAX_CONNECTIONS = 128
"""Connections that are answered; further ones get a 503."""
MAX_SOCKETS = 2 * MAX_CONNECTIONS
"""Connections and TLS handshakes; further ones are closed unread."""
GRACE = 0.5
"""Seconds that requests under way get when the daemon stops."""
LEAVE = 60.0
"""Seconds that requests under way get when their listener goes and the daemon stays."""
Faces = Mapping[Face, ASGIApp]
"""What answers on the listeners of a face, instead of the daemon's own API."""
NO_FACES: Faces = {}


class Page(Protocol):
    """What people look at on the API's listeners, beside the API."""

    @property
    def free(self) -> Set[str]:
        """The paths that need no token."""
        ...

    def routes(self, streams: Streams, *, asks: bool) -> Sequence[Route]:
        """Its routes on a listener with these *streams*; whether it *asks* for a token."""
        ...


async def serve(
    control: Control,
    socket_path: Path,
    *,
    group: str | None = None,
    mode: int = 0o660,
    openings: Openings | None = None,
    faces: Faces = NO_FACES,
) -> None:
    """Serve until cancelled. Raises LBError when it cannot listen there."""
    async with serving(
        control, socket_path, group=group, mode=mode, openings=openings, faces=faces
    ):
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(
    control: Control,
    socket_path: Path,
    *,
    group: str | None = None,
    mode: int = 0o660,
    openings: Openings | None = None,
    faces: Faces = NO_FACES,
    more: Sequence[Route] = (),
    traffic: Traffic | None = None,
    page: Page | None = None,
) -> AsyncIterator[None]:
    """The API of *control*, answering from the first moment inside to the last. Raises LBError.

    Of *openings* what is ready is opened, and again whenever a configuration has been loaded. What *faces* names
    answers on their listeners; *more* is answered beside the API itself. *traffic* counts what was asked.
    *page* is shown where the API is.
    """
    async with create_task_group():
        pass  # what starlette streams by is loaded at its first use, which takes 0.1 s: not during a request
    with unix_socket(socket_path, group=group, mode=mode) as listening:
        async with asyncio.TaskGroup() as tasks:
            servers = _Servers(
                control, tasks, faces=faces, more=more, traffic=traffic or Traffic(), page=page
            )
            servers.start(listening.dup(), None)
            try:
                with nullcontext() if openings is None else _following(control, openings, servers):
                    yield
            finally:
                servers.stop()


@contextmanager
def _following(control: Control, openings: Openings, servers: _Servers) -> Iterator[None]:
    def told(event: Event) -> None:
        if event.name == "config.loaded":
            openings.enact(servers.open)

    openings.enact(servers.open)
    unsubscribe = control.subscribe(told)
    try:
        yield
    finally:
        unsubscribe()
        openings.leave()


class _Servers:
    """The servers of one gateway, each in a task of its own."""

    def __init__(
        self,
        control: Control,
        tasks: asyncio.TaskGroup,
        *,
        faces: Faces,
        more: Sequence[Route],
        traffic: Traffic,
        page: Page | None,
    ) -> None:
        self._control = control
        self._tasks = tasks
        self._faces = faces
        self._more = more
        self._traffic = traffic
        self._page = page
        self._running: set[_Server] = set()

    def open(self, opening: Opening) -> Stop:
        """Serve on a TCP listener, until the returned function is called and requests under way have ended."""
        server = self.start(opening.socket, opening)
        return partial(server.end, LEAVE)

    def start(self, listening: socket.socket, opening: Opening | None) -> _Server:
        """Serve on *listening*, which is closed in the end."""
        credentials = Credentials() if opening is None else opening.credentials
        streams = Streams()
        where = "" if opening is None else str(opening.listener)
        face = Face.NATIVE if opening is None else opening.listener.face
        turned = Turned(partial(self._turned_away, where))
        if face is Face.NATIVE:
            app = self._native(credentials, streams, turned)
        else:
            app = Guard(self._faces[face], credentials.tokens, turned)
        counted = self._traffic.over(app, face.value)
        refuse = partial(self._traffic.refuse, face.value)
        server = _Server(_settings(counted), listening, credentials, streams, refuse)
        self._running.add(server)
        task = self._tasks.create_task(server.serve(), name=f"api {where}")
        task.add_done_callback(lambda _: self._running.discard(server))
        return server

    def _native(self, credentials: Credentials, streams: Streams, turned: Turned) -> Guard:
        more, page = self._more, self._page
        if page is None:
            return Guard(Api(self._control, streams, more).app(), credentials.tokens, turned)
        beside = page.routes(streams, asks=bool(credentials.tokens))
        app = Api(self._control, streams, (*more, *beside)).app()
        return Guard(app, credentials.tokens, turned, page.free)

    def stop(self) -> None:
        """Stop all of them, soon."""
        for server in self._running:
            server.end(GRACE)

    def _turned_away(self, where: str, address: str, times: int) -> None:
        facts: dict[str, Fact] = {"listener": where, "address": address, "times": times}
        self._control.warn("client.refused", facts)


def _settings(app: ASGIApp) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=connection.IDLE_TIME,
        h11_max_incomplete_event_size=connection.MAX_HEADER,
    )
    config.load()
    return config


def _connection(config: uvicorn.Config, state: ServerState, refuse: Refuse) -> Connection:
    made = Connection(config, state, {}, asyncio.get_running_loop())
    made.refuse = refuse
    return made


class _Server(uvicorn.Server):
    """uvicorn on one socket, that waits to be stopped instead of looking ten times a second."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: socket.socket,
        credentials: Credentials,
        streams: Streams,
        refuse: Refuse,
    ) -> None:
        super().__init__(config)
        self.servers = []
        self._streams = streams
        self._stopping = asyncio.Event()
        self._hurries: list[asyncio.TimerHandle] = []
        self._acceptor = Acceptor(
            listening,
            partial(_connection, config, self.server_state, refuse),
            tls=credentials.tls,
            handshake_time=connection.HEADER_TIME,
            count=lambda: len(self.server_state.connections),
            most=MAX_SOCKETS,
            refuse=refuse,
        )
        self._acceptor.start()

    def end(self, grace: float) -> None:
        """Take no more connections, let requests under way end, and after *grace* seconds end those that have not."""
        self._acceptor.stop()
        self._streams.end()
        self._stopping.set()
        self._hurries.append(asyncio.get_running_loop().call_later(grace, self._hurry))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """It listens already."""
        self.started = True

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the connections that are idle, and wait for the others."""
        try:
            await self._acceptor.settled()
            await super().shutdown(sockets)
        finally:
            for hurry in self._hurries:
                hurry.cancel()

    def _hurry(self) -> None:
        self._acceptor.hurry()
        for open_one in list(self.server_state.connections):
            open_one.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()
