"""`ipvs-lb web`: a code that is good once, a token that opens what the socket has, and nothing without it."""

from __future__ import annotations

import http.client
import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from ipvs_lb.cli.bridge import bridge
from ipvs_lb.cli.program import program
from ipvs_lb.errors import LBError
from tests.fake_control import FakeControl
from tests.running_api import Running

DRAIN = {"servers": ["web/server-1"], "action": "drain"}


class Asker:
    """Somebody who knows the port."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.port = parts.port
        self.code = parts.fragment.removeprefix("code=")

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        content = body if body is None or isinstance(body, str) else json.dumps(body)
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        told = answer.status, answer.headers, answer.read()
        connection.close()
        return told

    def enter(self) -> dict[str, str]:
        """Headers with the token."""
        status, _, content = self.ask("POST", "/ui/session", self.code)
        assert status == 200
        return {"Authorization": f"Bearer {json.loads(content)['token']}"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(FakeControl().everything_up(), tmp_path / "api.sock").up() as made:
        yield made


@pytest.fixture
def asker(running: Running) -> Iterator[Asker]:
    with bridge(running.path) as (address, _):
        yield Asker(address)


def test_the_code_is_good_once_and_its_token_for_everything(running: Running, asker: Asker) -> None:
    assert asker.ask("POST", "/ui/session", "wrong")[0] == 401
    headers = asker.enter()
    status, _, content = asker.ask("POST", "/ui/session", asker.code)
    assert (status, json.loads(content)["error"]["hint"]) == (401, "run `ipvs-lb web` again")
    assert asker.ask("GET", "/v1/health", **headers)[0] == 200
    status, _, content = asker.ask("POST", "/v1/servers/override", DRAIN, **headers)
    who = json.loads(content)["servers"][0]["override"]["who"]
    assert (status, who) == (200, pwd.getpwuid(os.getuid()).pw_name)
    path = "/v1/servers/override?server=web/server-1"
    assert asker.ask("DELETE", path, **headers)[0] == 200
    assert running.control.overrides == {}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/status"),
        ("GET", "/ui/live"),
        ("GET", "/ui/live?event=1"),
        ("POST", "/v1/reload"),
        ("POST", "/"),
        ("DELETE", "/v1/servers/override?server=*"),
    ],
)
def test_without_the_token_there_is_nothing(
    running: Running, asker: Asker, method: str, path: str
) -> None:
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {asker.code}"}):
        assert asker.ask(method, path, **headers)[0] == 401
    asker.enter()
    assert asker.ask(method, path, Authorization="Bearer wrong")[0] == 401
    assert running.control.calls == []


def test_the_pages_files_come_with_their_policy_and_other_names_lead_nowhere(asker: Asker) -> None:
    status, headers, content = asker.ask("GET", "/")
    assert (status, b"<title>ipvs-lb</title>" in content) == (200, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert asker.ask("GET", "/", **{"If-None-Match": headers["etag"]})[0] == 304
    assert asker.ask("GET", "/", Host="evil.example")[0] == 403
    assert asker.ask("POST", "/ui/session", asker.code, Host=f"evil.example:{asker.port}")[0] == 403


def test_the_stream_comes_as_it_happens(asker: Asker) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", asker.port, timeout=10)
    connection.request("GET", "/ui/live", headers=asker.enter())
    answer: Any = connection.getresponse()
    assert answer.readline() == b"event: head\n"
    connection.close()


def test_a_daemon_that_goes_away_is_told(tmp_path: Path, running: Running) -> None:
    with bridge(tmp_path / "nobody") as (address, _):
        asker = Asker(address)
        status, _, content = asker.ask("GET", "/v1/health", **asker.enter())
    assert (status, "does not answer" in content.decode()) == (502, True)


def test_what_keeps_it_from_beginning_is_told_at_once(tmp_path: Path, running: Running) -> None:
    with bridge(running.path) as (address, _):
        taken = urlsplit(address).port or 0
        with pytest.raises(LBError, match="Address already in use"), bridge(running.path, taken):
            pass
    result = CliRunner().invoke(program, ["web", "--socket", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "no ipvs-lb daemon listens" in result.output
