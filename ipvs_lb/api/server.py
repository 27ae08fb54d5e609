"""The API's server: uvicorn with bounds on connections and time, without signal handlers, stopped in less than 1 s."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ipvs_lb.api.app import Api
from ipvs_lb.api.listeners import BACKLOG, TcpListener, tcp_socket, unix_socket
from ipvs_lb.api.peers import knows, peer_of
from ipvs_lb.api.refusals import RefusalError, problem_to_json
from ipvs_lb.api.streams import Streams
from ipvs_lb.engine.control import Control
from ipvs_lb.errors import LBError

MAX_CONNECTIONS = 128
MAX_HEADER = 16 * 1024
HEADER_TIME = 5.0
"""Seconds until the head of a request has to be there as a whole."""
IDLE_TIME = 5
"""Seconds between two requests of one connection."""
SEND_TIME = 20.0
"""Seconds within which a client has to take what is sent at once."""
GRACE = 0.5
"""Seconds that requests under way get when the server stops."""


async def serve(
    control: Control,
    socket_path: Path,
    *,
    group: str | None = None,
    mode: int = 0o660,
    tcp: TcpListener | None = None,
) -> None:
    """Serve until cancelled. Raises LBError when it cannot listen there."""
    async with serving(control, socket_path, group=group, mode=mode, tcp=tcp):
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(
    control: Control,
    socket_path: Path,
    *,
    group: str | None = None,
    mode: int = 0o660,
    tcp: TcpListener | None = None,
) -> AsyncIterator[None]:
    """The API of *control*, answering from the first moment inside to the last. Raises LBError."""
    streams = Streams()
    app = Api(control, streams).app()
    with ExitStack() as sockets:
        listening = sockets.enter_context(unix_socket(socket_path, group=group, mode=mode))
        servers = [_server(app, listening)]
        if tcp is not None:
            servers.append(_server(app, sockets.enter_context(tcp_socket(tcp)), tcp))
        async with asyncio.TaskGroup() as tasks:
            for server in servers:
                tasks.create_task(server.serve(), name="api")
            try:
                for server in servers:
                    await server.ready.wait()
                yield
            finally:
                streams.end()
                for server in servers:
                    server.stopping.set()


def _server(app: ASGIApp, listening: socket.socket, tcp: TcpListener | None = None) -> _Server:
    config = uvicorn.Config(
        _Guard(app, tcp.token if tcp else None),
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=IDLE_TIME,
        h11_max_incomplete_event_size=MAX_HEADER,
        **({} if tcp is None else _tls(tcp)),
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as problem:
        raise LBError(f"the API's TLS files cannot be used: {problem}") from problem
    return _Server(config, listening)


def _tls(tcp: TcpListener) -> dict[str, Any]:  # keyword arguments of uvicorn
    return {
        "ssl_certfile": tcp.certificate,
        "ssl_keyfile": tcp.key,
        "ssl_ca_certs": None if tcp.client_ca is None else str(tcp.client_ca),
        "ssl_cert_reqs": ssl.CERT_NONE if tcp.client_ca is None else ssl.CERT_REQUIRED,
    }


class _Server(uvicorn.Server):
    """uvicorn on one socket, that waits to be stopped instead of looking ten times a second."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket) -> None:
        super().__init__(config)
        self._listening = listening
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with a bound on TLS handshakes."""
        loop = asyncio.get_running_loop()
        tls = self.config.ssl
        connection = partial(_Connection, self.config, self.server_state, {}, loop)
        server = await loop.create_server(
            connection,
            sock=self._listening,
            ssl=tls,
            ssl_handshake_timeout=HEADER_TIME if tls else None,
            backlog=BACKLOG,
        )
        self.servers = [server]
        self.started = True
        self.ready.set()

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let requests under way end, and end those that do not."""
        hurry = asyncio.get_running_loop().call_later(GRACE, self._hurry)
        try:
            await super().shutdown(sockets)
        finally:
            hurry.cancel()

    def _hurry(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()


class _Connection(H11Protocol):
    """uvicorn's connection, which knows who is at its other end and does not wait for ever for a request."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is, and wait for a request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # asyncio's word for a stream
        super().connection_made(transport)
        self.app_state = {"peer": peer_of(transport), "abort": transport.abort}
        self._expect()

    def data_received(self, data: bytes) -> None:
        """A part of a request: once its head is there, the body has its own time."""
        super().data_received(data)
        if self._is_waiting:
            self._expect()
        else:
            self._expect_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to expect."""
        self._expect_no_more()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    def _expect(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_TIME, self.transport.abort)

    def _expect_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Guard:
    """What every request passes: the token where one is asked for, and a bound on the time a client takes to read."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def hurried(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_TIME):
                    await send(message)
            except TimeoutError:
                scope["state"]["abort"]()

        app = self._app if self._admits(scope) else _STRANGER
        try:
            await app(scope, receive, hurried)
        except asyncio.CancelledError:
            return  # the server stops, and this task ends here

    def _admits(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        headers = dict(scope["headers"])
        return knows(self._token, headers.get(b"authorization", b"").decode("latin-1"))


_STRANGER = JSONResponse(
    {
        "error": problem_to_json(
            RefusalError(401, "no token, or not the right one", hint="Authorization: Bearer TOKEN")
        )
    },
    401,
    headers={"www-authenticate": "Bearer"},
)
