"""Clients that are slow, silent, greedy or broken, and nobody else notices."""

import os
import socket
import time

import pytest

from ipvs_lb.api import connection, guard, requests, server, streams
from tests.fake_control import FakeControl, many
from tests.running_api import Running

REQUEST = b"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def until_closed(connection):
    """Everything the server says until it closes the connection."""
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said


@pytest.fixture
def hasty(monkeypatch):
    """A server with little patience."""
    monkeypatch.setattr(connection, "HEADER_TIME", 0.2)
    monkeypatch.setattr(connection, "IDLE_TIME", 1)
    monkeypatch.setattr(guard, "SEND_TIME", 0.2)
    monkeypatch.setattr(requests, "BODY_TIME", 0.2)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n\r\nwhat\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /nothing HTTP/9.9\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        REQUEST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 4096,
    ],
)
def test_garbage_is_answered_or_dropped(hasty, running, garbage):
    with running.connect() as connection:
        connection.sendall(garbage)
        said = until_closed(connection)
    assert said == b"" or said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert running.get("/v1/health")["status"] == "fine"


def test_a_head_without_end_is_refused(running):
    with running.connect() as connection:
        try:
            for _ in range(64):
                connection.sendall(b"X-Filler: " + b"a" * 1000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        until_closed(connection)
    assert running.get("/v1/health")["status"] == "fine"


@pytest.mark.parametrize("said", [b"", b"GET /v1/health HT", REQUEST])
def test_a_client_that_does_not_finish_its_head_is_dropped(hasty, running, said):
    with running.connect() as connection:
        connection.sendall(said)
        start = time.monotonic()
        until_closed(connection)
        assert time.monotonic() - start < 5


def test_a_client_that_drips_its_head_is_dropped(hasty, running):
    with running.connect() as connection:
        start = time.monotonic()
        try:
            while time.monotonic() - start < 10:
                connection.sendall(b"G")
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - start < 5


def test_a_second_request_that_does_not_come_to_its_end_is_dropped(hasty, running):
    with running.connect() as connection:
        connection.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /v1/hea")
        start = time.monotonic()
        until_closed(connection)
        assert time.monotonic() - start < 5


def test_a_body_that_does_not_come_to_its_end_is_answered_with_408(hasty, running):
    with running.connect() as connection:
        connection.sendall(REQUEST + b'Content-Length: 100\r\n\r\n{"servers":')
        assert b" 408 " in until_closed(connection)


def test_a_body_without_end_is_answered_with_413(running):
    with running.connect() as connection:
        connection.sendall(REQUEST + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(200):
                connection.sendall(b"2000\r\n" + b" " * 0x2000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert b" 413 " in until_closed(connection)


def test_a_body_that_is_announced_too_large_is_not_even_read(running):
    with running.connect() as connection:
        connection.sendall(REQUEST + b"Content-Length: 99999999999999999999\r\n\r\n")
        assert b" 413 " in until_closed(connection)


def test_a_client_that_goes_in_the_middle_leaves_nothing(running):
    for _ in range(20):
        with running.connect() as connection:
            connection.sendall(REQUEST + b"Content-Length: 100\r\n\r\n{")
    assert running.get("/v1/health")["status"] == "fine"


def test_a_client_that_does_not_read_is_dropped(tmp_path, hasty):
    control = FakeControl(config=many(100, 20)).everything_up()
    with Running(control, tmp_path / "api.sock").up() as running:
        with running.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(1)
            got = until_closed(connection)
        assert len(got) < 1_000_000
        assert len(running.get("/v1/status")["services"]) == 100


def test_a_follower_that_does_not_read_costs_no_queue(hasty, running):
    with running.connect() as connection:
        connection.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        for _ in range(3000):
            running.do(lambda control: control.tell("server.down", detail="x" * 500))
            if not running.control.listeners:
                break
        deadline = time.monotonic() + 5
        while running.control.listeners and time.monotonic() < deadline:
            time.sleep(0.05)
    assert running.control.listeners == []


def test_silence_is_broken_from_time_to_time(running, monkeypatch):
    monkeypatch.setattr(streams, "KEEPALIVE", 0.05)
    with running.connect() as connection:
        connection.sendall(b"GET /v1/events?follow=1 HTTP/1.0\r\n\r\n")
        said = b""
        while said.count(b": still here") < 3:
            said += connection.recv(4096)


def test_more_connections_than_there_may_be_are_refused_and_the_rest_go_on(running, monkeypatch):
    idle = [running.connect() for _ in range(server.MAX_CONNECTIONS)]
    try:
        with running.connect() as one_more:
            one_more.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 503 " in until_closed(one_more)
    finally:
        for connection in idle:
            connection.close()
    time.sleep(0.2)
    assert running.get("/v1/health")["status"] == "fine"


@pytest.mark.parametrize(
    "left_open",
    [
        b"",
        b"GET /v1/hea",
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        REQUEST + b"Content-Length: 100\r\n\r\n{",
    ],
)
def test_the_server_stops_within_a_second_whatever_is_open(tmp_path, left_open):
    served = Running(FakeControl().everything_up(), tmp_path / "api.sock")
    with served.up() as running:
        connections = [running.connect() for _ in range(5)]
        for connection in connections:
            connection.sendall(left_open)
        running.get("/v1/health")
        start = time.monotonic()
    assert time.monotonic() - start < 1.5  # 1 s, and what a busy machine adds
    for connection in connections:
        until_closed(connection)
        connection.close()
    assert not (tmp_path / "api.sock").exists()


def test_open_files_come_back(running):
    def count():
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # a count is enough

    running.get("/v1/health")
    before = count()
    for _ in range(50):
        running.get("/v1/health")
    assert count() <= before + 2
