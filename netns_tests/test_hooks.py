"""Hooks on a gateway: a server that fails and comes back is told, and who hangs holds nothing up."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netns_tests.balance import NEIGHBOUR, ONE, TWO, Bench, config, new_vip
from netns_tests.daemon import (
    IN,
    OUT,
    PORT,
    SLACK,
    Backend,
    eventually,
    running,
    seen,
    web,
)
from tests.hooks.receivers import Site, hang, receiving, status

BOTH = {ONE: 1, TWO: 1}
STORY = ["server.down", "server.up"]
CHANGES = {"events": ["server.down", "server.up"], "window": "100ms"}


def listening(bench: Bench) -> socket.socket:
    """A socket of a host beside the gateway."""
    return bench.neighbour.call(socket.create_server, (NEIGHBOUR, 0), backlog=16)


def writable(folder: Path) -> Path:
    """A file that a program of an unprivileged user can write."""
    out = folder / "out"
    out.touch()
    out.chmod(0o666)
    for up in (folder, *list(folder.parents)[:2]):
        up.chmod(0o755)
    return out


def about(calls: list[Any], name: str, server: str) -> Iterator[str]:
    """What was told of *server*, in calls about the service of that *name* and no other."""
    for call in calls:
        assert call["service_name"] == name
        for event in call["events"]:
            assert event["facts"]["service"] == call["service"]
            if event["facts"]["server"].startswith(server):
                yield event["name"]


def test_a_failing_server_is_told_to_receivers_and_programs_and_a_hanging_one_holds_nothing_up(
    bench: Bench, tmp_path: Path
) -> None:
    backends = [Backend(host) for host in bench.servers[:2]]
    vip, out = new_vip(), writable(tmp_path)
    told = ["/bin/sh", "-c", f"cat >>{out}; echo >>{out}; id -un >>{out}"]
    with (
        receiving(status("204 No Content"), listening=listening(bench)) as good,
        receiving(hang, listening=listening(bench)) as stuck,
        running(bench, tmp_path) as daemon,
    ):
        hooks = [
            {"name": "stuck", "webhook": {"url": stuck.url, "timeout": "60s"}, **CHANGES},
            {"name": "good", "webhook": good.url, **CHANGES},
            {"name": "file", "exec": {"command": told}, **CHANGES},
        ]
        service = web(vip, ONE, TWO)
        daemon.balancer.write(config(service, hooks=hooks))
        daemon.api.post("/v1/reload")
        daemon.becomes(vip, BOTH, IN + SLACK)
        eventually(lambda: bool(stuck.requests), SLACK, "the receiver that hangs is asked")

        backends[1].close()
        daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
        assert seen(bench.outsider, vip) == ["server-1"] * 4
        server = f"{TWO}:{PORT}"
        eventually(lambda: "server.down" in webhooked(good, service, server), SLACK, "down")
        backends[1].open()
        daemon.becomes(vip, BOTH, IN + SLACK)
        eventually(lambda: webhooked(good, service, server)[-2:] == STORY, SLACK, "both at once")
        eventually(lambda: executed(out, service, server)[-2:] == STORY, SLACK, "both in a file")
        assert set(out.read_text().splitlines()[1::2]) == {"nobody"}

        assert len(stuck.requests) == 1
        begun = time.monotonic()
        assert daemon.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 2 + SLACK


def webhooked(site: Site, service: dict[str, Any], server: str) -> list[str]:
    """What the receiver was told of *server*."""
    calls = [got.document for got in list(site.requests)]
    return list(about(calls, service["name"], server))


def executed(out: Path, service: dict[str, Any], server: str) -> list[str]:
    """What the program was told of *server*; each run has left two whole lines."""
    lines = out.read_text().splitlines(keepends=True)
    whole = lines[: len(lines) // 2 * 2 : 2]
    return list(about([json.loads(line) for line in whole], service["name"], server))
