"""The API's real server on a real unix socket, in a thread of its own, with a gateway that is not real behind it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.model.api import ApiListener
from ipvs_lb.web import StatusPage
from tests.fake_control import FakeControl


class Running:
    """A served control; everything that touches it happens on the server's loop. *more* is what `serving` takes."""

    def __init__(self, control: FakeControl, path: Path, **more: Any) -> None:
        self.control = control
        self.path = path
        self.openings = Openings()
        self._more = more
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def up(self, *tcp: ApiListener) -> Iterator[Running]:
        self.openings.prepare(tcp)
        started, stop = threading.Event(), asyncio.Event()

        async def run() -> None:
            try:
                openings = self.openings if tcp else None
                told = {"page": StatusPage(self.control), **self._more}
                async with serving(self.control, self.path, openings=openings, **told):
                    started.set()
                    await stop.wait()
            finally:
                started.set()

        thread = threading.Thread(target=lambda: self._loop.run_until_complete(run()))
        thread.start()
        try:
            started.wait(10)
            yield self
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            thread.join(10)
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def do(self, work: Callable[[FakeControl], Any]) -> Any:
        """Let *work* happen to the control, on its loop."""

        async def on_loop() -> Any:
            return work(self.control)

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(10)

    def ask(self, method: str, target: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and parsed answer of one request."""
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = self.connect()
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body)
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            if content is not None:
                told.setdefault("content-type", "application/json")
            with suppress(BrokenPipeError):  # refused before all was sent: the answer says why
                connection.request(method, target, content, told)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def reload(self, *tcp: ApiListener) -> None:
        """Load a configuration with these listeners, as a daemon does; it has to have begun with one."""
        self.openings.prepare(tcp)
        self.do(lambda control: control.tell("config.loaded"))

    def get(self, target: str) -> Any:
        """The answer to a question that is answered."""
        status, answer = self.ask("GET", target)
        assert status == 200, answer
        return answer

    def connect(self) -> socket.socket:
        """A bare connection."""
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(20)
        made.connect(str(self.path))
        return made
