"""A front before the compatible API for tests that begin by making a network and a subnet, which here are configured.

It answers these requests itself, with the identifiers of the first network that is not external; everything else goes
through it as it is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlsplit

PATIENCE = 60.0
_MADE = {"networks": "network", "subnets": "subnet"}
_NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    behind: str


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        kind = _MADE.get(self._last_step())
        if kind is None:
            self._pass_on()
            return
        _, _, content = self._ask("GET", self.path, b"")
        rows = json.loads(content)[f"{kind}s"]
        inside = [
            one for one in rows if not one.get("router:external") and one.get("ip_version") != 6
        ]
        asked = json.loads(self._content())[kind]
        self._say(HTTPStatus.CREATED, {}, json.dumps({kind: {**inside[0], **asked}}).encode())

    def do_DELETE(self) -> None:
        if any(f"/{collection}/" in self.path for collection in _MADE):
            self._say(HTTPStatus.NO_CONTENT, {}, b"")
        else:
            self._pass_on()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as it is called there
        """Nobody reads it."""

    def _last_step(self) -> str:
        return urlsplit(self.path).path.rstrip("/").rpartition("/")[2]

    def _content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _pass_on(self) -> None:
        self._say(*self._ask(self.command, self.path, self._content()))

    def _ask(self, method: str, path: str, content: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(cast("_Server", self.server).behind)
        behind = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
        with contextlib.closing(behind):
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in _NOT_PASSED_ON
            }
            behind.request(method, path, content or None, headers)
            answer = behind.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def _say(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def fronted(origin: str) -> Iterator[str]:
    """The address of a front before *origin*."""
    with _Server(("127.0.0.1", 0), _Asked) as server:
        server.behind = origin
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
