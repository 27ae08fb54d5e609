"""Clients on TCP that are slow, silent, greedy, broken or not allowed, and nobody else notices."""

from __future__ import annotations

import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.api import connection, guard, requests, server
from ipvs_lb.api.connection import MAX_HEADER
from ipvs_lb.api.peers import knows
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.identity import Port
from tests.fake_control import FakeControl, many
from tests.probes.servers import Authority, free_port
from tests.running_api import Running

TOKEN = "a-token-of-some-length"
BEARER = f"Authorization: Bearer {TOKEN}\r\n".encode()
HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + BEARER
CHECK = b"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + BEARER


class Target:
    """A listener on TCP, with TLS or without, and the gateway behind it."""

    def __init__(self, running: Running, port: int, tls: ssl.SSLContext | None) -> None:
        self.running = running
        self.port = port
        self._tls = tls

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def connect(self) -> socket.socket:
        return self.secured(self.raw())

    def secured(self, raw: socket.socket) -> socket.socket:
        """*raw*, in TLS where the listener has it."""
        if self._tls is None:
            return raw
        return self._tls.wrap_socket(raw, server_hostname="127.0.0.1")

    def status(self, token: str | None = TOKEN) -> int:
        with self.connect() as connection:
            head = b"" if token is None else f"Authorization: Bearer {token}\r\n".encode()
            connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
            return int(connection.recv(65536).split()[1])

    def connections(self) -> int:
        """How many the server has, by the kernel's word: established, or closed by the client alone."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        local = f"0100007F:{self.port:04X}"
        return sum(row[1] == local and row[3] in {"01", "08"} for row in rows)

    def refused(self) -> list[dict[str, object]]:
        events = self.running.control.ring.after(0)
        return [dict(event.facts) for event in events if event.name == "client.refused"]


@pytest.fixture(params=["plain", "tls"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    authority, port = Authority(tmp_path), free_port()
    certificate, key = map(str, authority.issue("127.0.0.1"))
    secured = request.param == "tls"
    listener = ApiListener(
        address=ip_address("127.0.0.1"),
        port=Port(port),
        token=TOKEN,
        certificate=certificate if secured else None,
        key=key if secured else None,
    )
    tls = ssl.create_default_context(cafile=str(authority.file)) if secured else None
    control = FakeControl(config=many(40, 20)).everything_up()
    with Running(control, tmp_path / "api.sock").up(listener) as running:
        yield Target(running, port, tls)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with little patience; to be asked for before `target`."""
    monkeypatch.setattr(connection, "HEADER_TIME", 0.3)
    monkeypatch.setattr(connection, "IDLE_TIME", 1)
    monkeypatch.setattr(guard, "SEND_TIME", 0.3)
    monkeypatch.setattr(requests, "BODY_TIME", 0.3)


def until_closed(connection: socket.socket) -> bytes:
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except (ConnectionError, ssl.SSLError):
        pass
    return said


def drip(connection: socket.socket, first: bytes, drop: bytes, *, at_most: float = 10) -> float:
    """The seconds until the server has had enough of *first* and a *drop* from time to time."""
    begun = time.monotonic()
    try:
        connection.sendall(first)
        while time.monotonic() - begun < at_most:
            connection.sendall(drop)
            time.sleep(0.03)
    except (ConnectionError, ssl.SSLError):
        pass
    return time.monotonic() - begun


@pytest.mark.parametrize("said", [b"", b"GET /v1/hea", HEALTH])
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(hasty, target, said) -> None:
    with target.connect() as connection:
        connection.sendall(said)
        begun = time.monotonic()
        assert until_closed(connection) == b""
        assert time.monotonic() - begun < 5
    assert target.status() == 200


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        pytest.param(b"", b"G", id="method"),
        pytest.param(HEALTH, b"X: y\r\n", id="headers"),
        pytest.param(HEALTH + b"\r\n", b"G", id="second-request"),
        pytest.param(HEALTH + b"Content-Length: 9999\r\n\r\n", b"x", id="unwanted-body"),
        pytest.param(CHECK + b"Content-Length: 9999\r\n\r\n", b" ", id="body"),
        pytest.param(
            b"POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"x", id="stranger"
        ),
    ],
)
def test_dripping_does_not_keep_a_connection(hasty, target, first, drop) -> None:
    with target.connect() as connection:
        assert drip(connection, first, drop) < 8
    assert target.status() == 200


def test_an_idle_connection_is_closed(hasty, target) -> None:
    with target.connect() as connection:
        connection.sendall(HEALTH + b"\r\n")
        begun = time.monotonic()
        assert until_closed(connection).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("times", [1, 60])
def test_a_client_that_asks_and_does_not_read_is_dropped(hasty, target, times) -> None:
    with target.raw() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with target.secured(raw) as connection:
            connection.sendall(
                (b"GET /v1/status HTTP/1.1\r\nHost: x\r\n" + BEARER + b"\r\n") * times
            )
            wait_until(lambda: target.connections() == 0)
    assert target.status() == 200


def wait_until(happens, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_head_beyond_bounds_is_refused(target) -> None:
    with target.connect() as connection:
        with suppress(ConnectionError, ssl.SSLError):
            connection.sendall(HEALTH + b"X-Filler: " + b"a" * 2 * MAX_HEADER)
        assert until_closed(connection).startswith(b"HTTP/1.1 431 ")
    assert target.status() == 200


def test_a_body_beyond_bounds_is_refused_before_it_is_there(target) -> None:
    with target.connect() as connection:
        connection.sendall(CHECK + b"Content-Length: %d\r\n\r\n" % (requests.MAX_BODY + 1))
        assert until_closed(connection).startswith(b"HTTP/1.1 413")


def test_a_stranger_is_not_asked_for_his_body(hasty, target) -> None:
    with target.connect() as connection:
        head = b"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
        connection.sendall(head)
        assert until_closed(connection).startswith(b"HTTP/1.1 401")


def test_connections_are_bounded_and_the_unix_socket_stays_free(
    target, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        for _ in range(server.MAX_SOCKETS + 20):
            stack.enter_context(target.raw())
        time.sleep(0.2)
        assert target.connections() <= server.MAX_SOCKETS
        assert target.running.get("/v1/names")["schema"] == "ipvs_lb/names/1"
    wait_until(lambda: target.connections() == 0)
    assert target.status() == 200


def test_a_handshake_has_its_time(hasty, tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    certificate, key = map(str, authority.issue("127.0.0.1"))
    listener = ApiListener(
        address=ip_address("127.0.0.1"),
        port=Port(port),
        client_ca=str(authority.file),
        certificate=certificate,
        key=key,
    )
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    with Running(FakeControl(), tmp_path / "api.sock").up(listener):
        for said in (b"", hello, b"\x16", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
                silent.sendall(said)
                begun = time.monotonic()
                until_closed(silent)
                assert time.monotonic() - begun < 5
        with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
            assert drip(slow, hello, b"x") < 5


def test_a_stopped_daemon_does_not_wait_for_handshakes(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    certificate, key = map(str, authority.issue("127.0.0.1"))
    listener = ApiListener(
        address=ip_address("127.0.0.1"),
        port=Port(port),
        token=TOKEN,
        certificate=certificate,
        key=key,
    )
    with ExitStack() as stack:
        with Running(FakeControl(), tmp_path / "api.sock").up(listener):
            for _ in range(5):
                silent = socket.create_connection(("127.0.0.1", port), timeout=20)
                stack.enter_context(silent).sendall(b"\x16\x03\x01")
            time.sleep(0.2)
            begun = time.monotonic()
        assert time.monotonic() - begun < 1.5  # 1 s, and what a busy machine adds


def test_those_without_the_token_are_told_of_but_not_often(
    target, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in ("wrong", None, TOKEN[:-1], TOKEN + "x"):
        assert target.status(token) == 401
    assert target.refused() == [
        {"listener": f"127.0.0.1:{target.port}", "address": "127.0.0.1", "times": 1}
    ]
    monkeypatch.setattr(guard, "TELL_PAUSE", 0.0)
    assert target.status() == 200
    assert len(target.refused()) == 1


def test_what_was_not_told_is_counted(target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "TELL_PAUSE", 0.5)
    for _ in range(3):
        target.status("wrong")
    time.sleep(0.6)
    target.status("wrong")
    assert [fact["times"] for fact in target.refused()] == [1, 3]


def test_no_event_has_a_token(target) -> None:
    target.status("wrong-one")
    (told,) = target.refused()
    assert not {"wrong-one", TOKEN} & {str(fact) for fact in told.values()}


@pytest.mark.parametrize("given", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é" * 9])
def test_only_the_whole_token_is_right(given: str) -> None:
    assert not knows(TOKEN, f"Bearer {given}")
    assert knows(TOKEN, f"Bearer {TOKEN}")


def test_a_client_that_goes_in_the_middle_leaves_nothing(target) -> None:
    for said in (b"", b"GET", HEALTH, CHECK + b"Content-Length: 100\r\n\r\n{"):
        for _ in range(5):
            with target.connect() as connection:
                connection.sendall(said)
    wait_until(lambda: target.connections() == 0)
    assert target.status() == 200


@pytest.mark.parametrize("path", [b"/openapi.json", b"/v1/status", b"/none"])
def test_nothing_is_told_to_strangers(target, path) -> None:
    with target.connect() as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.0\r\n\r\n")
        assert until_closed(connection).startswith(b"HTTP/1.1 401")


def test_without_descriptors_clients_wait_and_are_answered_when_there_are_some(
    tmp_path: Path,
) -> None:
    port = free_port()
    listener = ApiListener(address=ip_address("127.0.0.1"), port=Port(port), token=TOKEN)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hoard: list[int] = []
    with Running(FakeControl(), tmp_path / "api.sock").up(listener):
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        try:
            with suppress(OSError):
                while True:
                    hoard.append(os.dup(0))
            os.close(hoard.pop())
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
            client.sendall(HEALTH + b"\r\n")
            client.settimeout(0.3)
            with client, pytest.raises(TimeoutError):
                client.recv(1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for descriptor in hoard:
                os.close(descriptor)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as another:
            another.sendall(HEALTH + b"\r\n")
            assert another.recv(12).startswith(b"HTTP/1.1 ")
