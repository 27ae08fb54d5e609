"""A way from a browser on this machine to the daemon's unix socket: HTTP on a port of 127.0.0.1, for one browser.

Rules kept here:
1. The address has a code in its fragment, which no request carries. The page changes it for a token, once; whoever sees
   the address later, in a list of processes say, has nothing of it.
2. Without the token there are the page's own files and nothing else. The name in a request must be this machine's, so
   that no other site's name can lead here.
3. What is sent on is what came, but for the headers that are of one connection only.
"""

from __future__ import annotations

import hmac
import http.client
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import urlsplit

from ipvs_lb.cli.daemon import PATIENCE, SocketConnection
from ipvs_lb.errors import LBError

HERE = "127.0.0.1"
MAX_BODY = 512 * 1024
_PART = 64 * 1024
_IDLE = 30.0  # seconds that a connection of the browser may be silent
_SESSION = "/ui/session"
_LIVE = "/ui/live"
_SENT_ON = ("content-type", "if-none-match")
_OF_A_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})


class _Keys:
    """The code that is in the address, and the token that it is changed for."""

    def __init__(self) -> None:
        self.code: str | None = secrets.token_hex(16)
        self._token: str | None = None
        self._lock = Lock()

    def change(self, code: str) -> str | None:
        """The token for the right code, the first time."""
        with self._lock:
            if self.code is None or not hmac.compare_digest(self.code.encode(), code.encode()):
                return None
            self.code, self._token = None, secrets.token_hex(32)
            return self._token

    def opens(self, authorization: str) -> bool:
        """Whether that header carries the token."""
        token = self._token
        given = authorization.removeprefix("Bearer ").encode()
        return token is not None and hmac.compare_digest(token.encode(), given)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, daemon: Path) -> None:
        super().__init__((HERE, port), _Request)
        self.daemon = daemon
        self.keys = _Keys()
        self.names = {f"{name}:{self.server_port}" for name in (HERE, "localhost")}

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is no news."""


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing: the daemon tells of orders."""

    def do_GET(self) -> None:
        """What there is to see."""
        self._answer()

    do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815  # named by http.server

    def _answer(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            return self._refuse(413, f"the body is larger than {MAX_BODY} bytes")
        body = self.rfile.read(int(length))
        path = urlsplit(self.path).path
        if self.headers.get("host") not in self.server.names:
            return self._refuse(403, "this is reached by the address it printed")
        if path == _SESSION and self.command == "POST":
            return self._begin(body)
        if not self._is_free(path) and not self._is_known():
            return self._refuse(401, "no token, or not the right one", "run `ipvs-lb web` again")
        return self._send_on(body)

    def _is_free(self, path: str) -> bool:
        """Whether it is one of the page's own files."""
        return self.command in {"GET", "HEAD"} and not path.startswith("/v1") and path != _LIVE

    def _is_known(self) -> bool:
        return self.server.keys.opens(self.headers.get("authorization", ""))

    def _begin(self, code: bytes) -> None:
        token = self.server.keys.change(code.decode("latin-1"))
        if token is None:
            return self._refuse(401, "this address has been used", "run `ipvs-lb web` again")
        return self._tell(200, {"token": token})

    def _refuse(self, status: int, message: str, hint: str | None = None) -> None:
        problem: dict[str, object] = {
            "kind": "RefusalError",
            "message": message,
            "hint": hint,
            "problems": [],
        }
        self._tell(status, {"error": problem})

    def _tell(self, status: int, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("content-type", "application/json")
        self.send_header("cache-control", "no-store")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_on(self, body: bytes) -> None:
        headers = {name: self.headers[name] for name in _SENT_ON if name in self.headers}
        connection = SocketConnection(self.server.daemon, PATIENCE)
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            return self._refuse(502, f"the daemon does not answer: {problem}")
        try:
            return self._pass(answer)
        finally:
            connection.close()

    def _pass(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        if answer.length is None:
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        while part := answer.read1(_PART):
            self.wfile.write(part)


@contextmanager
def bridge(daemon: Path, port: int = 0) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address to open, and a function that waits for ever; *port* 0 is any. Raises LBError."""
    try:
        server = _Server(port, daemon)
    except OSError as problem:
        raise LBError(f"cannot listen on {HERE}:{port}: {problem.strerror}") from problem
    serving = Thread(target=server.serve_forever, name="bridge", daemon=True)
    serving.start()
    try:
        yield f"http://{HERE}:{server.server_port}/#code={server.keys.code}", serving.join
    finally:
        server.shutdown()
        server.server_close()
