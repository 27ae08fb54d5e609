"""What the service manager is told, on a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ipvs_lb.daemon.notify import Manager
from ipvs_lb.errors import ConfigError


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(address)
        manager.settimeout(5)
        yield manager


def told(manager: socket.socket) -> dict[str, str]:
    """The next message."""
    lines = manager.recv(4096).decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def all_told(manager: socket.socket) -> list[dict[str, str]]:
    """Every message that has arrived."""
    found = []
    manager.setblocking(False)
    try:
        while True:
            found.append(told(manager))
    except BlockingIOError:
        return found


def test_the_manager_is_told_when_all_is_ready_and_when_the_end_begins(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        ours = Manager({"NOTIFY_SOCKET": path})
        ours.ready()
        ours.stopping()
        assert all_told(manager) == [{"READY": "1", "STATUS": "balancing"}, {"STOPPING": "1"}]


async def test_a_reload_is_told_with_its_time_on_the_managers_clock(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    before = time.monotonic_ns() // 1000
    with listening(path) as manager:
        ours = Manager({"NOTIFY_SOCKET": path})
        ours.ready()
        assert told(manager)["READY"] == "1"
        async with ours.reload():
            message = told(manager)
        assert told(manager) == {"READY": "1", "STATUS": "balancing"}
    assert message["RELOADING"] == "1"
    assert before <= int(message["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000


async def test_a_reload_that_fails_is_over_all_the_same_and_in_the_status(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        ours = Manager({"NOTIFY_SOCKET": path})
        ours.ready()
        with pytest.raises(ConfigError):
            async with ours.reload():
                raise ConfigError(["lb.yaml:1:1: version: missing"])
        _, _, message = all_told(manager)
        assert message["READY"] == "1"
        assert "refused" in message["STATUS"]
        async with ours.reload():
            pass
        assert all_told(manager)[-1]["STATUS"] == "balancing"


async def test_a_reload_before_start_up_is_over_does_not_end_it(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        async with Manager({"NOTIFY_SOCKET": path}).reload():
            pass
        assert all_told(manager) == []


def test_an_address_with_an_at_sign_is_an_abstract_one() -> None:
    name = f"ipvs-lb-test-{os.getpid()}"
    with listening(f"\0{name}") as manager:
        Manager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert told(manager)["READY"] == "1"


async def watched(seconds: float, **environ: str) -> None:
    task = asyncio.create_task(Manager(environ).watch())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_PID": str(os.getpid())}], ids=["plain", "by-pid"])
async def test_the_watchdog_hears_twice_within_its_time(
    tmp_path: Path, more: dict[str, str]
) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        await watched(29, NOTIFY_SOCKET=path, WATCHDOG_USEC="20000000", **more)
        assert all_told(manager) == [{"WATCHDOG": "1"}] * 3


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="unwanted"),
        pytest.param({"WATCHDOG_USEC": "soon"}, id="nonsense"),
        pytest.param({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, id="of-another-process"),
    ],
)
async def test_a_watchdog_that_is_not_for_us_hears_nothing(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    path = str(tmp_path / "notify")
    with listening(path) as manager:
        await watched(60, NOTIFY_SOCKET=path, **environ)
        assert all_told(manager) == []


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@ipvs-lb-nobody"])
async def test_without_anybody_to_tell_nothing_happens(address: str) -> None:
    manager = Manager({"NOTIFY_SOCKET": address})
    manager.ready()
    async with manager.reload():
        pass
    manager.stopping()


def test_a_manager_that_went_away_is_no_trouble(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    manager = Manager({"NOTIFY_SOCKET": path})
    with listening(path):
        manager.ready()
    manager.stopping()
