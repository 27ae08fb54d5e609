"""The API on TCP: opened, changed and closed as configurations come, and what its credentials are read from."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from ipvs_lb.api import credentials, openings
from ipvs_lb.api.listeners import tcp_socket
from ipvs_lb.api.openings import Openings
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.identity import Port
from tests.fake_control import FakeControl
from tests.probes.servers import Authority, free_port
from tests.running_api import Running

TOKEN = "a-token-of-some-length"


def listener(port: int, address: str = "127.0.0.1", **settings: Any) -> ApiListener:
    if not settings.keys() & {"token_file", "client_ca"}:
        settings.setdefault("token", TOKEN)
    return ApiListener(address=ip_address(address), port=Port(port), **settings)


class Client:
    """One connection that is kept."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None):
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPConnection(host, port, timeout=20)
            if tls is None
            else http.client.HTTPSConnection(host, port, timeout=20, context=tls)
        )

    def ask(self, target: str = "/v1/health", token: str = TOKEN) -> int:
        self._connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
        response = self._connection.getresponse()
        response.read()
        return response.status

    @property
    def serial(self) -> str:
        """The serial number of the server's certificate."""
        sock = self._connection.sock
        assert isinstance(sock, ssl.SSLSocket)
        shown = sock.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"])

    def close(self) -> None:
        self._connection.close()


def status(port: int, token: str = TOKEN, **settings) -> int:
    client = Client(port, **settings)
    try:
        return client.ask(token=token)
    finally:
        client.close()


def is_listened_on(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


@contextmanager
def served(folder: Path, *listeners: ApiListener) -> Iterator[Running]:
    with Running(FakeControl().everything_up(), folder / "api.sock").up(*listeners) as running:
        yield running


def problems_of(wanted: list[ApiListener], made: Openings | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        (made or Openings()).prepare(wanted)
    return refused.value.problems


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_reload_opens_and_closes_listeners_and_leaves_the_others_alone(tmp_path: Path) -> None:
    stays, goes, comes = free_port(), free_port(), free_port()
    with served(tmp_path, listener(stays), listener(goes)) as running:
        kept, lost = Client(stays), Client(goes)
        assert (kept.ask(), lost.ask()) == (200, 200)
        mine = kept._connection.sock
        running.reload(listener(stays), listener(comes))
        assert status(comes) == 200
        assert not is_listened_on(goes)
        assert kept.ask() == 200
        assert kept._connection.sock is mine
        with pytest.raises((OSError, http.client.HTTPException)):
            lost.ask()
        kept.close()
        lost.close()


def test_a_request_under_way_ends_although_its_listener_goes(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, listener(port), listener(free_port())) as running:
        running.control.pondering = 0.5
        answers: list[int] = []

        def drain() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            body = json.dumps({"servers": ["web/server-1"], "action": "drain"})
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/servers/override", body, headers)
            answers.append(connection.getresponse().status)
            connection.close()

        asking = threading.Thread(target=drain)
        asking.start()
        wait_until(lambda: bool(running.control.overrides))
        running.reload()
        asking.join(10)
        assert answers == [200]
        assert not is_listened_on(port)


def wait_until(happens) -> None:
    deadline = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_those_who_follow_events_are_sent_away_with_their_listener(tmp_path: Path) -> None:
    port = free_port()
    head = f"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    with (
        served(tmp_path, listener(port), listener(free_port())) as running,
        socket.create_connection(("127.0.0.1", port), 20) as follower,
    ):
        follower.sendall(f"{head}\r\n".encode())
        assert follower.recv(12) == b"HTTP/1.1 200"
        running.reload()
        while follower.recv(65536):
            pass


def test_a_client_that_has_connected_but_not_asked_is_answered_once(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, listener(port)) as running:
        early = Client(port)
        early._connection.connect()
        running.do(lambda _: None)  # by now it has been accepted
        running.reload(listener(port, token="another-token"))
        assert early.ask() == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            early.ask()
        early.close()
        assert (status(port), status(port, token="another-token")) == (401, 200)


def test_a_renewed_certificate_counts_from_the_next_reload(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.issue("127.0.0.1")
    port, trusting = free_port(), ssl.create_default_context(cafile=str(authority.file))
    wanted = listener(port, certificate=str(certificate), key=str(key))
    with served(tmp_path, wanted) as running:
        before = Client(port, tls=trusting)
        assert before.ask() == 200
        first = before.serial
        running.reload(wanted)
        assert before.ask() == 200
        assert before.serial == first  # nothing has changed, and the connection is still there
        authority.issue("127.0.0.1")
        running.reload(wanted)
        after = Client(port, tls=trusting)
        assert after.ask() == 200
        assert after.serial != first
        before.close()
        after.close()


def test_no_connection_is_refused_while_credentials_change(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = map(str, authority.issue("127.0.0.1"))
    port, trusting = free_port(), ssl.create_default_context(cafile=str(authority.file))
    wanted = listener(port, certificate=certificate, key=key)
    answers: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers.append(status(port, tls=trusting))

    with served(tmp_path, wanted) as running:
        asking = threading.Thread(target=ask)
        asking.start()
        for _ in range(5):
            enough = len(answers) + 4
            wait_until(lambda enough=enough: len(answers) >= enough)
            authority.issue("127.0.0.1")
            running.reload(wanted)
        done.set()
        asking.join(20)
    assert set(answers) == {200}


def test_what_cannot_be_opened_refuses_the_reload_and_the_old_listeners_stay(
    tmp_path: Path,
) -> None:
    port, fresh = free_port(), free_port()
    with socket.create_server(("127.0.0.1", 0)) as other, served(tmp_path, listener(port)) as one:
        busy = other.getsockname()[1]
        problems = problems_of([listener(fresh), listener(busy)], one.openings)
        assert problems == (f"api: cannot listen on 127.0.0.1:{busy}: Address already in use",)
        one.do(lambda control: control.tell("config.loaded"))  # of a later one that changes nothing
        assert status(port) == 200
        assert not is_listened_on(fresh)


def test_an_address_in_use_is_worth_trying_again_and_a_missing_file_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        busy = listener(other.getsockname()[1])
        with pytest.raises(ConfigError) as refused:
            Openings().prepare([busy])
        assert refused.value.exit_code == openings.BUSY_EXIT == 1
        missing = listener(free_port(), token_file=str(tmp_path / "none"))
        with pytest.raises(ConfigError) as refused:
            Openings().prepare([busy, missing])
        assert refused.value.exit_code == 2
        assert len(refused.value.problems) == 2


def test_a_listener_can_go_from_one_address_to_all_and_back(tmp_path: Path) -> None:
    port = free_port()
    one = listener(port)
    certificate, key = map(str, Authority(tmp_path).issue("127.0.0.1"))
    every = listener(port, "0.0.0.0", certificate=certificate, key=key)
    with served(tmp_path, one) as running:
        assert not is_listened_on(port, "127.0.0.2")
        running.reload(every)
        assert is_listened_on(port, "127.0.0.2")
        running.reload(one)
        assert not is_listened_on(port, "127.0.0.2")
        assert status(port) == 200


def test_the_file_of_a_unix_socket_comes_and_goes_with_its_listener(tmp_path: Path) -> None:
    path, file = tmp_path / "more.sock", tmp_path / "file"
    file.write_text("")
    one, other = listener(free_port()), listener(1, path=str(path))
    with served(tmp_path, one) as running:
        running.reload(one, other)
        before = path.stat().st_ino
        running.reload(replace(one, token="another-token-of-some-length"), other)
        assert path.stat().st_ino == before
        running.reload(one, replace(other, token="another-token-of-some-length"))
        assert path.stat().st_ino == before
        refused = replace(other, path=str(file))
        assert problems_of([one, refused], running.openings) == (
            f"api: {file}: there is a file that is no socket",
        )
        assert path.stat().st_ino == before
        running.reload(one)
        assert not path.exists()
        assert problems_of([other, refused], running.openings)
        assert not path.exists()


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_may_come_up_later(authority: Authority, address: str) -> None:
    certificate, key = map(str, authority.issue(address))
    made = Openings()
    made.prepare([listener(free_port(), address, certificate=certificate, key=key)])
    made.forget()


def test_two_that_listen_on_the_same_port_never_share_it(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, listener(port)):
        assert problems_of([listener(port)]) == (
            f"api: cannot listen on 127.0.0.1:{port}: Address already in use",
        )


def test_a_listener_of_ipv6_is_beside_one_of_ipv4(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, listener(port, "::1"), listener(port)):
        assert (status(port), status(port, host="::1")) == (200, 200)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read {}: No such file or directory"),
        (b"", "{}: expected a token of 1 to 1000 visible ASCII characters without blanks"),
        (b"two words\n", "{}: expected a token of"),
        ("schlüssel".encode(), "{}: expected a token of"),
        (b"x" * 1001, "{}: expected a token of"),
        (b"x" * (credentials.MAX_FILE + 1), "{} has more than 1048576 bytes"),
    ],
)
def test_a_token_file_that_holds_none_is_told_without_its_content(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    (problem,) = problems_of([listener(free_port(), token_file=str(path))])
    assert told.format(path) in problem
    assert problem.startswith("api: token_file: ")
    assert "words" not in problem


def test_a_read_only_token_sees_everything_and_orders_nothing(tmp_path: Path) -> None:
    (tmp_path / "viewer").write_text("just-looking\n")
    port = free_port()
    viewers = listener(port, token=TOKEN, read_only_token_file=str(tmp_path / "viewer"))
    with served(tmp_path, viewers) as running:
        assert status(port) == status(port, token="just-looking") == 200
        drain = {"servers": ["web/server-1"], "action": "drain"}
        for method, path in (
            ("POST", "/v1/servers/override"),
            ("DELETE", "/v1/servers/override?server=server-1"),
            ("POST", "/v1/check"),
            ("POST", "/v1/reload"),
            ("POST", "/v1/nothing"),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            headers = {"Authorization": "Bearer just-looking", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(drain), headers)
            refused = connection.getresponse()
            assert refused.status == 403, path
            assert "may look and not order" in json.loads(refused.read())["error"]["message"]
            connection.close()
        assert (running.control.overrides, running.control.calls) == ({}, [])


def test_the_two_tokens_of_a_listener_are_not_the_same_one(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    both = listener(free_port(), token=TOKEN, read_only_token_file=str(tmp_path / "token"))
    (problem,) = problems_of([both])
    assert problem.startswith("api: read_only_token: the read-only token is the one")
    assert TOKEN not in problem


def test_a_pipe_is_no_token_file_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (problem,) = problems_of([listener(free_port(), token_file=str(tmp_path / "pipe"))])
    assert problem.endswith("is not a regular file")


def test_a_token_file_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    port = free_port()
    with served(tmp_path, listener(port, token_file=str(tmp_path / "token"))):
        assert (status(port), status(port, token="another")) == (200, 401)


def test_files_that_are_no_certificates_are_told_by_their_key(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = map(str, authority.issue("127.0.0.1"))
    _, other_key = map(str, authority.issue("other", file="other"))
    nonsense, encrypted = tmp_path / "nonsense.pem", tmp_path / "encrypted.pem"
    nonsense.write_text("no PEM at all")
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-out", encrypted, "-aes256", "-passout", "pass:secret"],
        check=True,
        capture_output=True,
    )
    cases = [
        ({"certificate": str(nonsense)}, "certificate: {}: it is no PEM as expected"),
        ({"certificate": certificate, "key": other_key}, "the key is not the one of"),
        ({"certificate": certificate}, "or its key is missing"),
        ({"certificate": certificate, "key": str(encrypted)}, "is encrypted, expected a key"),
        ({"certificate": certificate, "key": key, "client_ca": str(nonsense)}, "client_ca: "),
        ({"certificate": certificate, "key": str(tmp_path)}, "key: "),
        ({"certificate": f"{certificate}x", "key": key}, "certificate: cannot read"),
    ]
    for settings, told in cases:
        (problem,) = problems_of([listener(free_port(), **settings)])
        assert told.format(nonsense) in problem


def test_rules_hold_for_listeners_that_no_configuration_has_checked() -> None:
    bare = ApiListener(address=ip_address("127.0.0.1"), port=Port(8080))
    assert problems_of([bare]) == (
        "api: it must know who asks: token, token_file or client_ca is missing",
    )


def test_a_token_is_not_to_be_seen() -> None:
    one = listener(8080)
    assert TOKEN not in repr(one)
    assert TOKEN not in str(one)
    assert TOKEN not in repr(credentials.read(one))


def test_old_tls_is_refused(tmp_path: Path, authority: Authority) -> None:
    certificate, key = map(str, authority.issue("127.0.0.1"))
    port, old = free_port(), ssl.create_default_context(cafile=str(authority.file))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with (
        served(tmp_path, listener(port, certificate=certificate, key=key)),
        pytest.raises(ssl.SSLError),
    ):
        status(port, tls=old)


def test_all_sockets_are_closed_in_the_end(tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        stack.enter_context(served(tmp_path, listener(port)))
        assert status(port) == 200
    assert not is_listened_on(port)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_answer_is_sent_at_once_and_not_when_its_head_has_been_acknowledged(
    address: str,
) -> None:
    with tcp_socket(listener(0, address)) as listening:
        listening.setblocking(True)
        with socket.create_connection((address, listening.getsockname()[1])):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
