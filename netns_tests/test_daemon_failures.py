"""A server dies, in every way a server can: it is out in time, clients see the others only, and it comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from netns_tests.balance import ONE, TWO, Bench, new_vip, service
from netns_tests.daemon import (
    HTTP,
    IN,
    OUT,
    SLACK,
    Backend,
    Running,
    running,
    seen,
    start_web_process,
    talk_to,
    web,
)

BOTH = {ONE: 1, TWO: 1}


@dataclass(frozen=True, slots=True)
class Fault:
    """How server-2 fails, and how that ends."""

    happens: Callable[[Bench, Backend], object]
    ends: Callable[[Bench, Backend], object]


def _refuse(bench, backend):
    backend.close()


def _hang(bench, backend):
    backend.hang()


def _answer_500(bench, backend):
    backend.status = 500


def _repair(bench, backend):
    backend.open()


def _unplug(bench, backend):
    bench.servers[1].link_down("eth0")


def _plug(bench, backend):
    bench.servers[1].link_up("eth0")
    bench.servers[1].route("default", "10.0.0.1")


def _drop(bench, backend):
    bench.servers[1].run(["ip", "route", "add", "blackhole", "10.0.0.1/32"])
    bench.servers[1].run(["ip", "route", "add", "blackhole", "203.0.113.0/24"])


def _deliver(bench, backend):
    bench.servers[1].run(["ip", "route", "del", "blackhole", "10.0.0.1/32"])
    bench.servers[1].run(["ip", "route", "del", "blackhole", "203.0.113.0/24"])


def _move_away(bench, backend):
    bench.servers[1].run(["ip", "address", "del", f"{TWO}/24", "dev", "eth0"])


def _move_back(bench, backend):
    bench.servers[1].address("eth0", f"{TWO}/24")
    bench.servers[1].route("default", "10.0.0.1")


FAULTS = {
    "port-refused": Fault(_refuse, _repair),
    "hangs-after-accept": Fault(_hang, _repair),
    "answers-500": Fault(_answer_500, _repair),
    "host-unplugged": Fault(_unplug, _plug),
    "packets-dropped": Fault(_drop, _deliver),
    "address-gone": Fault(_move_away, _move_back),
}


@pytest.fixture(scope="module")
def backends(bench):
    return [Backend(host) for host in bench.servers]


@pytest.fixture(scope="module")
def daemon(bench, backends, tmp_path_factory):
    with running(bench, tmp_path_factory.mktemp("daemon")) as started:
        yield started


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failing_server_is_out_in_time_and_back_in_time_and_clients_see_the_good_one(
    bench: Bench, backends: list[Backend], daemon: Running, fault: Fault
) -> None:
    vip = new_vip()
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    with talk_to(bench.outsider, vip, ONE) as talk:
        fault.happens(bench, backends[1])
        try:
            daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
            assert seen(bench.outsider, vip) == ["server-1"] * 4
        finally:
            fault.ends(bench, backends[1])
        daemon.becomes(vip, BOTH, IN + SLACK)
        assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}
        assert talk.ask() == "server-1"


def test_a_server_whose_process_is_killed_is_out_in_time_and_back_once_it_runs_again(
    bench: Bench, daemon: Running, tmp_path
) -> None:
    vip, port = new_vip(), 8001
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    start_web_process(bench.servers[0], folders[0], port)
    doomed = start_web_process(bench.servers[1], folders[1], port)
    daemon.load(service(vip, ONE, TWO, ports=[port], health_check=HTTP))
    daemon.becomes(vip, BOTH, IN + SLACK)

    os.kill(doomed.pid, signal.SIGKILL)
    daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
    for _ in range(4):
        page = bench.outsider.run(["curl", "-sS", "-m", "5", f"http://{vip}:{port}/"]).stdout
        assert page == "server-1"

    start_web_process(bench.servers[1], folders[1], port)
    daemon.becomes(vip, BOTH, IN + SLACK)


def test_the_event_and_the_explanation_say_how_the_server_failed(
    bench: Bench, backends: list[Backend], daemon: Running
) -> None:
    vip = new_vip()
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    backends[1].status = 500
    try:
        daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
        told = daemon.api.get("/v1/events")["events"]
        last = [event for event in told if event["name"] == "server.down"][-1]
        assert last["facts"]["error"] == "status"
        assert "500" in last["facts"]["detail"]
    finally:
        backends[1].open()
