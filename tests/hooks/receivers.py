"""Real HTTP receivers on loopback, good and bad."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_NO_HTTP = {b"", b"\x16"}  # the end, and the beginning of TLS (RFC 8446, section 5.1)

Answer = Callable[[socket.socket, int], None]
"""Answers the request with that number, counted from 0, on a connection."""


@dataclass(slots=True)
class Got:
    """One request: its first line, its headers by lower-case name, and its body."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(slots=True)
class Site:
    """A receiver; `open` are the connections that have not ended."""

    port: int
    scheme: str = "http"
    host: str = "127.0.0.1"
    requests: list[Got] = field(default_factory=list)
    open: set[socket.socket] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/hook?key=s3cret"

    def wait_for(self, count: int, patience: float = 20.0) -> None:
        until(lambda: len(self.requests) >= count, f"{count} requests", patience)


def until(is_so: Callable[[], bool], what: str, patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def status(*answers: str) -> Answer:
    """One status line with headers after the other; the last for ever."""

    def answer(connection: socket.socket, number: int) -> None:
        head = answers[min(number, len(answers) - 1)]
        connection.sendall(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode())

    return answer


def hang(connection: socket.socket, number: int) -> None:
    """Say nothing, until the client goes."""
    with contextlib.suppress(OSError):
        connection.recv(1)


def drip(connection: socket.socket, number: int) -> None:
    """A byte of a header now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    with contextlib.suppress(OSError):
        for _ in range(400):
            connection.sendall(b"x")
            time.sleep(0.05)


def endless(head: str) -> Answer:
    """A body without end."""

    def answer(connection: socket.socket, number: int) -> None:
        connection.sendall(f"HTTP/1.1 {head}\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x" * 65536)

    return answer


def say(text: bytes) -> Answer:
    def answer(connection: socket.socket, number: int) -> None:
        connection.sendall(text)

    return answer


@contextlib.contextmanager
def receiving(
    answer: Answer, tls: ssl.SSLContext | None = None, *, listening: socket.socket | None = None
) -> Iterator[Site]:
    """A receiver that answers every request with *answer* and ends the connection; on loopback, if not *listening*."""
    with listening or socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        host, port = server.getsockname()
        site = Site(port, "https" if tls else "http", host)

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                site.open.add(connection)
                stack.callback(site.open.discard, connection)
                connection.settimeout(30)
                stack.enter_context(connection)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                    stack.enter_context(connection)
                elif connection.recv(1, socket.MSG_PEEK) in _NO_HTTP:
                    answer(connection, 0)
                    return
                number = len(site.requests)
                site.requests.append(_read(connection))
                answer(connection, number)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield site
        server.shutdown(socket.SHUT_RDWR)


def _read(connection: socket.socket) -> Got:
    with connection.makefile("rb") as file:
        line = file.readline().decode("latin-1").strip()
        headers = {}
        while field_line := file.readline().strip():
            name, _, value = field_line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Got(line, headers, file.read(int(headers.get("content-length", 0))))
