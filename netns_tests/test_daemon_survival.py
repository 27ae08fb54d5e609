"""Connections through healthy servers, and what the operator wants, outlive whatever happens to the daemon."""

from __future__ import annotations

import signal
import time

import pytest

from ipvs_lb.errors import ConfigError
from netns_tests.balance import ONE, THREE, TWO, config, new_vip, server
from netns_tests.daemon import (
    IN,
    OUT,
    SLACK,
    Backend,
    eventually,
    running,
    seen,
    talk_to,
    web,
)

RECONCILE = 10.0
BOTH = {ONE: 1, TWO: 1}


@pytest.fixture(scope="module")
def backends(bench):
    return [Backend(host) for host in bench.servers]


@pytest.fixture(scope="module")
def daemon(bench, backends, tmp_path_factory):
    with running(bench, tmp_path_factory.mktemp("daemon")) as started:
        yield started


@pytest.fixture
def vip(daemon):
    """A VIP with two healthy servers in the kernel."""
    address = new_vip()
    daemon.load(web(address, ONE, TWO))
    daemon.becomes(address, BOTH, IN + SLACK)
    return address


@pytest.fixture
def talk(bench, vip):
    """A connection through the VIP to server-1."""
    with talk_to(bench.outsider, vip, ONE) as conversation:
        yield conversation


def test_a_connection_survives_sighup_that_brings_a_server_and_sighup_that_takes_it(
    daemon, vip, talk
):
    daemon.balancer.write(config(web(vip, ONE, TWO, THREE)))
    daemon.send(signal.SIGHUP)
    daemon.becomes(vip, {**BOTH, THREE: 1}, IN + SLACK)
    assert talk.ask() == "server-1"
    daemon.balancer.write(config(web(vip, ONE)))
    daemon.send(signal.SIGHUP)
    eventually(lambda: daemon.serving(vip) == {ONE: 1}, IN + SLACK, "the others are out or drain")
    assert talk.ask() == "server-1"


def test_a_connection_and_the_table_survive_sigterm_and_a_new_start(bench, daemon, vip, talk):
    start = time.monotonic()
    assert daemon.end(signal.SIGTERM) == 0
    assert time.monotonic() - start < 2 + SLACK
    assert daemon.weights(vip) == BOTH
    assert talk.ask() == "server-1"
    assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}
    daemon.start()
    assert daemon.weights(vip) == BOTH
    assert talk.ask() == "server-1"


def test_a_server_that_died_while_no_daemon_ran_is_found_out_at_the_next_start(
    bench, backends, daemon, vip, talk
):
    daemon.end(signal.SIGKILL)
    backends[1].close()
    try:
        daemon.start()
        daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
        assert talk.ask() == "server-1"
    finally:
        backends[1].open()
    daemon.becomes(vip, BOTH, IN + SLACK)


def test_a_server_that_was_down_before_a_restart_does_not_come_back_with_it(backends, daemon, vip):
    backends[1].status = 500
    try:
        daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
        time.sleep(1)  # the notebook is written twice a second
        daemon.end(signal.SIGKILL)
        daemon.start()
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert daemon.weights(vip) == {ONE: 1}
    finally:
        backends[1].open()
    daemon.becomes(vip, BOTH, IN + SLACK)


def test_a_reload_neither_brings_a_failing_server_back_nor_forgets_that_it_can_recover(
    backends, daemon, vip
):
    """keepalived #608 #381 #1163 #1165 #1720 #2318"""
    backends[1].status = 500
    try:
        daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
        for weight in range(2, 6):
            daemon.load(web(vip, server(ONE, weight=weight), TWO))
            daemon.becomes(vip, {ONE: weight}, SLACK)
    finally:
        backends[1].open()
    daemon.becomes(vip, {ONE: 5, TWO: 1}, IN + SLACK)


def test_a_flushed_table_is_repaired_within_the_reconcile_interval_and_connections_go_on(
    bench, daemon, vip, talk
):
    """keepalived #1018, kubernetes #134147"""
    daemon.balancer.ipvsadm("-C")
    daemon.becomes(vip, BOTH, RECONCILE + SLACK)
    eventually(lambda: "drift.repaired" in daemon.events(), SLACK, "that is told")
    assert talk.ask() == "server-1"
    assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}


def test_what_others_changed_in_our_service_is_put_right_and_what_is_theirs_is_left_alone(
    daemon, vip
):
    """kubernetes #59507 #76267 #85799, kube-router #829"""
    theirs = f"{new_vip()}:81"
    ours = f"{vip}:8000"
    ipvsadm = daemon.balancer.ipvsadm
    ipvsadm("-A", "-t", theirs, "-s", "rr")
    ipvsadm("-a", "-t", theirs, "-r", f"{ONE}:81", "-m", "-w", "3")
    foreign = [rule for rule in daemon.balancer.rules() if theirs in rule]
    ipvsadm("-e", "-t", ours, "-r", f"{ONE}:8000", "-m", "-w", "9")
    ipvsadm("-d", "-t", ours, "-r", f"{TWO}:8000")
    daemon.becomes(vip, BOTH, RECONCILE + SLACK)
    daemon.load()
    eventually(lambda: not daemon.weights(vip), SLACK, "our service goes")
    assert [rule for rule in daemon.balancer.rules() if theirs in rule] == foreign
    ipvsadm("-D", "-t", theirs)


def test_a_refused_configuration_on_sighup_is_told_and_leaves_the_old_one_in_force(
    bench, daemon, vip, talk
):
    """keepalived #2182"""
    before = daemon.balancer.rules()
    refused = daemon.events().count("config.refused")
    daemon.balancer.write(config(web(vip, "not an address", scheduler="")))
    daemon.send(signal.SIGHUP)
    eventually(lambda: daemon.events().count("config.refused") > refused, SLACK, "it is told")
    assert daemon.api.get("/v1/status")["config_error"]
    with pytest.raises(ConfigError):
        daemon.api.post("/v1/reload")
    assert daemon.balancer.rules() == before
    assert talk.ask() == "server-1"
    assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}


def test_an_order_given_over_the_api_is_still_in_force_after_kill_9_and_a_start(daemon, vip):
    """keepalived #1296 #2609"""
    daemon.order(TWO, "weight", weight=7, reason="bigger machine")
    daemon.becomes(vip, {ONE: 1, TWO: 7}, SLACK)
    daemon.end(signal.SIGKILL)
    daemon.start()
    daemon.becomes(vip, {ONE: 1, TWO: 7}, SLACK)
    daemon.take_back(TWO)
    daemon.becomes(vip, BOTH, SLACK)


def test_a_second_daemon_on_the_same_state_directory_names_the_first_and_ends_with_1(
    bench, daemon, vip, talk
):
    second = bench.gateway.run(
        [*daemon.command(), "--socket", f"{daemon.balancer.state_dir}/2.sock"], check=False
    )
    assert second.returncode == 1
    assert f"process {daemon.pid}" in second.stderr
    assert daemon.weights(vip) == BOTH
    assert talk.ask() == "server-1"


def test_a_corrupt_state_file_does_not_keep_the_daemon_from_starting_nor_break_connections(
    daemon, vip, talk
):
    daemon.end(signal.SIGKILL)
    for path in daemon.balancer.state_dir.glob("state.db*"):
        path.write_bytes(b"this is no database " * 500)
    daemon.start()
    daemon.becomes(vip, BOTH, IN + SLACK)
    assert talk.ask() == "server-1"
