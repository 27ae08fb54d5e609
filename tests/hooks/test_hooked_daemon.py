"""Hooks of `ipvs-lb run` as a process: what they are told, what never shows, and that they hold nothing up."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.test_life import config, has_ipvs, listening, running
from tests.hooks.receivers import Got, Site, hang, receiving, status, until
from tests.probes.servers import free_port

pytestmark = pytest.mark.real_time

SECRET = "s3cret"


@pytest.fixture(scope="module", autouse=True)
def _no_ipvs() -> None:
    if has_ipvs():
        pytest.skip("this kernel has IPVS, and a test is not to change it")


@pytest.fixture
def good() -> Iterator[Site]:
    with receiving(status("200 OK")) as site:
        yield site


@pytest.fixture
def stuck() -> Iterator[Site]:
    with receiving(hang) as site:
        yield site


def told(requests: list[Got]) -> list[str]:
    return [event["name"] for got in requests for event in got.document["events"]]


def hooks(*lines: str) -> str:
    return "\n".join(["hooks:", *(f"  - {line}" for line in lines)])


def test_events_go_to_a_receiver_and_a_program_and_secrets_nowhere_else(
    tmp_path: Path, good: Site
) -> None:
    out = tmp_path / "out"
    tell = f'[/bin/sh, -c, "cat >> {out}; echo >> {out}"]'
    out.touch()
    for path, mode in (
        (out, 0o666),
        *((up, 0o755) for up in list(tmp_path.parents)[:2]),
        (tmp_path, 0o755),
    ):
        path.chmod(mode)
    dead = f"http://127.0.0.1:{free_port()}/{SECRET}"
    token, common = f"token: {SECRET}, headers: {{X-Key: {SECRET}}}", "window: 100ms"
    more = hooks(
        f'{{name: chat, webhook: {{url: "{good.url}", {token}}}, events: "*", {common}}}',
        f"{{name: file, exec: {{command: {tell}}}, events: server.*, services: web, {common}}}",
        f'{{name: dead, webhook: {{url: "{dead}", {token}, attempts: 1}}, events: server.up, {common}}}',
    )
    with listening() as server:
        port = server.getsockname()[1]
        with running(tmp_path, config(port, more=more)) as daemon:
            failed = daemon.event("hook.failed")
            assert (failed["hook"], failed["service"]) == ("dead", "tcp/127.0.0.16:80")
            assert failed["reason"] == "Connection refused"
            until(lambda: "server.up" in told(good.requests), "server.up is told", 30)
            until(lambda: out.stat().st_size > 0, "the program has run", 30)
            assert "daemon.started" in told(good.requests)

            # A reload brings another set of hooks; the one that stays goes on.
            fewer = hooks(f'{{name: chat, webhook: {{url: "{good.url}"}}, events: "*", {common}}}')
            daemon.config.write_text(
                config(port, more=fewer).replace("name: web\n", "name: shop\n")
            )
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: "config.loaded" in told(good.requests), "config.loaded is told", 30)
            everything = json.dumps(
                [
                    daemon.face.get(f"/v1/{what}", also=(503,))
                    for what in ("status", "events", "health")
                ]
            )
            assert daemon.end(signal.SIGTERM) < 2
    assert told(good.requests)[-1] == "daemon.stopped"
    assert "hook.failed" not in told(good.requests)
    (call,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert (call["hook"], call["service_name"]) == ("file", "web")
    assert [(e["name"], e["facts"]["name"]) for e in call["events"]] == [("server.up", "web-1")]
    written = b"".join(path.read_bytes() for path in daemon.state.iterdir() if path.is_file())
    assert SECRET not in daemon.log.read_text() + everything + written.decode("latin-1")


@pytest.mark.parametrize("kind", ["webhook", "exec"])
def test_the_daemon_ends_within_two_seconds_whatever_its_hooks_do(
    tmp_path: Path, stuck: Site, kind: str
) -> None:
    action = {
        "webhook": f'webhook: {{url: "{stuck.url}", timeout: 60s}}',
        "exec": "exec: {command: [/bin/sh, -c, \"trap '' TERM INT; sleep 4242\"], timeout: 60s}",
    }[kind]
    more = hooks(f'{{name: stuck, {action}, events: "*", window: 0s}}')
    with listening() as server:
        text = config(server.getsockname()[1], more=more)
        with running(tmp_path, text) as daemon:
            if kind == "webhook":
                stuck.wait_for(2, 30)
            daemon.event("server.up")
            assert daemon.end(signal.SIGTERM) < 2
    assert daemon.process.returncode == 0
    failed = daemon.event("hook.failed")
    assert failed["reason"] == "the daemon ended before the call was over"
    assert "Traceback" not in daemon.log.read_text()
