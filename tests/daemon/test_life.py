"""`ipvs-lb run` as a process, on a machine whose kernel has no IPVS: everything but the kernel goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ipvs_lb.cli.daemon import Daemon as Face
from ipvs_lb.daemon.life import end
from ipvs_lb.errors import ConfigError, KernelError
from ipvs_lb.netlink import NetlinkKernel

pytestmark = pytest.mark.real_time
PATIENCE = 30.0  # seconds; a busy machine needs most of them to import what a daemon is made of

FAST = "type: tcp, interval: 500ms, fast_interval: 500ms, timeout: 400ms"
SLOW = "type: http, interval: 10s, fast_interval: 10s, timeout: 9s"


def has_ipvs() -> bool:
    try:
        with NetlinkKernel():
            return True
    except KernelError:
        return False


@pytest.fixture(scope="module", autouse=True)
def _no_ipvs() -> None:
    if has_ipvs():
        pytest.skip("this kernel has IPVS, and a test is not to change it")


def config(port: int, *, check: str = FAST, more: str = "") -> str:
    return f"""\
version: 1
{more}
services:
  - name: web
    vip: {{address: 127.0.0.16, managed: no}}
    port: 80
    servers: [{{name: web-1, address: 127.0.0.1, port: {port}}}]
    health_check: {{{check}, rise: 1, fall: 1}}
"""


class Running:
    """A daemon as a process, with this test as its service manager."""

    def __init__(self, folder: Path, text: str) -> None:
        self.config = folder / "lb.yaml"
        self.config.write_text(text)
        self.state = folder / "state"
        self.log = folder / "log"
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._manager.settimeout(PATIENCE)
        environ = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        with self.log.open("wb") as log:
            command = [*self.command(), "--socket", str(folder / "api.sock")]
            self.process = subprocess.Popen(command, stderr=log, env=environ)
        self.face = Face(folder / "api.sock")

    def command(self) -> list[str]:
        program = [sys.executable, "-m", "ipvs_lb", "run"]
        return [*program, "--config", str(self.config), "--state-dir", str(self.state)]

    def told(self) -> dict[str, str]:
        """What the service manager is told next."""
        lines = self._manager.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def events(self) -> list[dict[str, object]]:
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def event(self, name: str, *, after: int = 0) -> dict[str, object]:
        """The first event of this name among those numbered above *after*, once it has happened."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for event in self.events():
                if event["event"] == name and int(str(event["number"])) > after:
                    return event
            time.sleep(0.05)
        raise AssertionError(f"no {name} in {self.log.read_text()}")

    def last(self) -> int:
        return max(int(str(event["number"])) for event in self.events())

    def end(self, number: signal.Signals) -> float:
        """The seconds the daemon takes to end after a signal."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - begun

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._manager.close()


@contextmanager
def running(folder: Path, text: str) -> Iterator[Running]:
    """A daemon that has told its manager that it is ready."""
    with closing(Running(folder, text)) as daemon:
        assert daemon.told() == {"READY": "1", "STATUS": "balancing"}
        yield daemon


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A server that accepts connections, in its backlog, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with listening() as server:
        port = server.getsockname()[1]
        with running(tmp_path_factory.mktemp("daemon"), config(port)) as one:
            yield one


def test_a_kernel_without_ipvs_is_told_and_probing_goes_on_and_the_api_answers(
    daemon: Running,
) -> None:
    assert daemon.event("kernel.failed")["level"] == "error"
    assert daemon.event("server.up")["name"] == "web-1"
    health = daemon.face.get("/v1/health", also=(503,))
    assert health["status"] == "failing"
    assert any("kernel" in reason for reason in health["reasons"])
    assert [event["event"] for event in daemon.events()].count("kernel.failed") == 1


def test_a_hangup_with_a_refused_configuration_is_told_and_the_old_one_stays(
    daemon: Running,
) -> None:
    good = daemon.config.read_text()
    last = daemon.last()
    daemon.config.write_text("version: 1\nservces: []\n")
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.told()["RELOADING"] == "1"
    assert "refused" in daemon.told()["STATUS"]
    refused = daemon.event("config.refused", after=last)
    assert str(refused["first"]).endswith(
        'lb.yaml:2:1: servces: unknown key, did you mean "services"?'
    )
    assert [one["name"] for one in daemon.face.get("/v1/services")["services"]] == ["web"]
    daemon.config.write_text(good)
    daemon.process.send_signal(signal.SIGHUP)
    assert daemon.told()["RELOADING"] == "1"
    assert daemon.told() == {"READY": "1", "STATUS": "balancing"}
    assert daemon.event("config.loaded", after=last)["services"] == 1


def test_the_manager_is_told_of_a_reload_that_the_api_was_asked_for(daemon: Running) -> None:
    good = daemon.config.read_text()
    daemon.face.post("/v1/reload")
    assert daemon.told().keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert daemon.told() == {"READY": "1", "STATUS": "balancing"}
    daemon.config.write_text("version: 2\n")
    try:
        with pytest.raises(ConfigError):
            daemon.face.post("/v1/reload")
    finally:
        daemon.config.write_text(good)
    assert daemon.told()["RELOADING"] == "1"
    assert "refused" in daemon.told()["STATUS"]
    daemon.face.post("/v1/reload")
    assert daemon.told()["RELOADING"] == "1"
    assert daemon.told()["STATUS"] == "balancing"


def test_a_second_daemon_on_the_state_directory_ends_naming_the_first(daemon: Running) -> None:
    command = [*daemon.command(), "--socket", f"{daemon.state}/other.sock"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert second.returncode == 1
    assert f"{daemon.state} is in use by process {daemon.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_it_ends_within_two_seconds_whatever_its_probes_wait_for(
    tmp_path: Path, number: signal.Signals
) -> None:
    with (
        listening() as server,
        running(tmp_path, config(server.getsockname()[1], check=SLOW)) as daemon,
    ):
        server.settimeout(PATIENCE)
        hung, _ = server.accept()
        with hung:
            assert daemon.end(number) < 2
    assert daemon.process.returncode == 0
    assert daemon.events()[-1]["event"] == "daemon.stopped"
    assert not (tmp_path / "api.sock").exists()


def test_a_watched_configuration_is_loaded_when_it_changes(tmp_path: Path) -> None:
    with listening() as server:
        text = config(server.getsockname()[1], more="daemon: {watch: yes}")
        with running(tmp_path, text) as daemon:
            draft = tmp_path / "draft"
            draft.write_text(text.replace("name: web\n", "name: shop\n"))
            draft.replace(daemon.config)
            assert daemon.told()["RELOADING"] == "1"
            assert daemon.told()["READY"] == "1"
            assert daemon.event("config.loaded")["services"] == 1
            services = daemon.face.get("/v1/services")["services"]
            assert [one["name"] for one in services] == ["shop"]


def test_it_does_not_begin_with_a_refused_configuration(tmp_path: Path) -> None:
    with closing(Running(tmp_path, "version: 2\n")) as daemon:
        assert daemon.process.wait(PATIENCE) == 2
        assert "lb.yaml:1:10: version: expected 1, found 2" in daemon.log.read_text()
        assert "Traceback" not in daemon.log.read_text()


async def test_at_the_end_every_task_is_waited_for_though_one_fails() -> None:
    ended = []

    async def fail() -> None:
        raise ValueError("first")

    async def fail_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("second")
            raise RuntimeError

    async def tidy_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("third")

    tasks = [asyncio.create_task(work()) for work in (fail, fail_at_the_end, tidy_up)]
    await asyncio.sleep(0.01)
    with pytest.raises(ValueError, match="first"):
        await end(*tasks)
    assert ended == ["second", "third"]
