"""What a client on a lab host sees: which server answers a request, a datagram, a stream."""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ipvs_lb.errors import LabError
from ipvs_lb.lab.hosts import Host

_BUFFER = 65536
SOCKET_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
"""Type and protocol of a socket, by the name of the transport protocol."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str

    @property
    def server(self) -> str:
        """The name of the server that answered: the first word it says."""
        return self.text.partition("\n")[0].partition(" ")[0]


class Download:
    """A connection on which the web application says its name again and again; `server` is who it began with."""

    def __init__(
        self, client: Host, address: str, port: int = 80, *, timeout: float = 20.0
    ) -> None:
        self._what = f"{client.name}: download from {address} port {port}"
        try:
            self._connection = client.call(socket.create_connection, (address, port), timeout)
            self._connection.sendall(b"GET /download HTTP/1.0\r\n\r\n")
            self._receive(b"\r\n\r\n")
        except OSError as error:
            raise LabError(f"{self._what}: {error}") from error
        self.server = self.next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._connection.close()

    def next(self) -> str:
        """The name that comes next; what came before does not count. Raises LabError when nothing comes."""
        try:
            while select.select([self._connection], [], [], 0)[0]:
                self._receive()
            return self._receive().split()[-1].decode()
        except OSError as error:
            raise LabError(f"{self._what}: {error}") from error

    def _receive(self, end: bytes = b"\n") -> bytes:
        """What is there, and what follows up to *end*."""
        received = b""
        while end not in received or not received.endswith(b"\n"):
            part = self._connection.recv(_BUFFER)
            if not part:
                raise ConnectionError("it has ended")
            received += part
        return received


def get(client: Host, url: str, *, timeout: float = 5.0) -> Answer:
    """One GET on a connection of its own; *timeout* in seconds. Raises LabError when no answer comes."""
    return client.call(_get, url, timeout)


def servers_seen(client: Host, url: str, times: int, *, timeout: float = 5.0) -> tuple[str, ...]:
    """Which server answered each of so many requests, one after the other. Raises LabError."""
    return tuple(get(client, url, timeout=timeout).server for _ in range(times))


def exchange(
    client: Host,
    protocol: str,
    address: str,
    port: int,
    text: str = "hello",
    *,
    source: tuple[str, int] | None = None,
    timeout: float = 5.0,
) -> str:
    """What an echo answers to *text* over tcp, udp or sctp: its name, a space, *text*.

    *source* is the client's own address and port. Raises LabError when nothing comes within *timeout* seconds.
    """
    try:
        return client.call(_exchange, protocol, (address, port), text.encode(), source, timeout)
    except OSError as error:
        raise LabError(f"{client.name}: {protocol} to {address} port {port}: {error}") from error


def _get(url: str, timeout: float) -> Answer:
    import requests

    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the machine around the lab is not for the lab
            session.headers["Connection"] = "close"
            response = session.get(url, timeout=timeout)
            return Answer(response.status_code, response.text)
    except requests.RequestException as error:
        raise LabError(f"GET {url}: {error}") from error


def _exchange(
    protocol: str,
    target: tuple[str, int],
    payload: bytes,
    source: tuple[str, int] | None,
    timeout: float,
) -> str:
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with socket.socket(family, *SOCKET_KINDS[protocol]) as connection:
        connection.settimeout(timeout)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source is not None:
            connection.bind(source)
        connection.connect(target)
        connection.sendall(payload)
        return connection.recv(_BUFFER).decode()
