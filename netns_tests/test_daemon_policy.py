"""What the health policy says, as it shows in the kernel's weights and to clients."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from netns_tests.balance import ONE, THREE, TWO, new_vip, server
from netns_tests.daemon import (
    CHUNKS,
    IN,
    OUT,
    PORT,
    SLACK,
    Backend,
    eventually,
    fails,
    running,
    seen,
    talk_to,
    web,
)

BOTH = {ONE: 1, TWO: 1}
CLOSED = 10.0  # net/netfilter/ipvs/ip_vs_proto_tcp.c, IP_VS_TCP_S_CLOSE


@pytest.fixture(scope="module")
def all_backends(bench):
    return [Backend(host) for host in bench.servers]


@pytest.fixture(scope="module")
def daemon(bench, all_backends, tmp_path_factory):
    with running(bench, tmp_path_factory.mktemp("daemon")) as started:
        yield started


@pytest.fixture
def backends(all_backends):
    """Every one works, before and after."""
    yield all_backends
    for backend in all_backends:
        backend.open()


@pytest.fixture
def vip():
    return new_vip()


def test_a_drain_lets_a_running_download_finish_and_then_takes_the_server_out(
    bench, daemon, backends, vip
):
    daemon.load(web(vip, ONE))
    daemon.becomes(vip, {ONE: 1}, IN + SLACK)
    received: list[bytes] = []
    download = threading.Thread(target=bench.outsider.call, args=(_download, vip, received))
    download.start()
    eventually(lambda: bool(received), SLACK, "the download begins")
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    daemon.order(ONE, "drain", reason="update")
    daemon.becomes(vip, {ONE: 0, TWO: 1}, SLACK)
    assert download.is_alive()
    assert seen(bench.outsider, vip) == ["server-2"] * 4
    download.join(CHUNKS + SLACK)
    assert b"".join(received).count(b"x") == CHUNKS * 100
    daemon.becomes(vip, {TWO: 1}, CLOSED + 2 + SLACK)
    daemon.take_back(ONE)
    daemon.becomes(vip, BOTH, SLACK)


def _download(vip, received):
    """Ends with a reset, which the kernel forgets soon: it remembers a connection that was closed for two minutes."""
    with socket.create_connection((vip, PORT), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        while b"".join(received).count(b"x") < CHUNKS * 100:
            part = connection.recv(4096)
            assert part
            received.append(part)


def test_a_drain_ends_at_its_deadline_whatever_connections_are_left(bench, daemon, backends, vip):
    daemon.load(web(vip, ONE, TWO, drain_timeout="3s"))
    daemon.becomes(vip, BOTH, IN + SLACK)
    with talk_to(bench.outsider, vip, ONE) as talk:
        daemon.order(ONE, "drain")
        daemon.becomes(vip, {ONE: 0, TWO: 1}, SLACK)
        assert talk.ask() == "server-1"
        assert daemon.becomes(vip, {TWO: 1}, 3 + SLACK) > 1
    daemon.take_back(ONE)


def test_a_server_that_left_the_configuration_drains_first(bench, daemon, backends, vip):
    """keepalived #1228"""
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    with talk_to(bench.outsider, vip, ONE) as talk:
        daemon.load(web(vip, TWO))
        daemon.becomes(vip, {ONE: 0, TWO: 1}, SLACK)
        assert talk.ask() == "server-1"


def test_the_backup_tier_serves_when_the_primary_dies_and_steps_back_when_it_returns(
    bench, daemon, backends, vip
):
    daemon.load(web(vip, ONE, server(THREE, backup=1)))
    daemon.becomes(vip, {ONE: 1}, IN + SLACK)
    backends[0].close()
    daemon.becomes(vip, {THREE: 1}, OUT + SLACK)
    assert seen(bench.outsider, vip) == ["server-3"] * 4
    backends[0].open()
    eventually(lambda: daemon.weights(vip).get(ONE) == 1, IN + SLACK, "the primary is back")
    eventually(lambda: not daemon.weights(vip).get(THREE), SLACK, "the backup has stepped back")
    assert seen(bench.outsider, vip) == ["server-1"] * 4


def test_below_the_panic_threshold_every_server_stays_in_and_the_good_one_still_serves(
    bench, daemon, backends, vip
):
    daemon.load(web(vip, ONE, TWO, THREE, panic_threshold="50%"))
    everyone = {**BOTH, THREE: 1}
    daemon.becomes(vip, everyone, IN + SLACK)
    backends[1].status = 500
    daemon.becomes(vip, {ONE: 1, THREE: 1}, OUT + SLACK)
    backends[2].status = 500
    daemon.becomes(vip, everyone, OUT + SLACK)
    assert "server-1" in seen(bench.outsider, vip, 6)
    backends[1].open()
    daemon.becomes(vip, BOTH, IN + SLACK)


def test_a_lost_quorum_takes_the_vip_away_and_a_regained_one_brings_it_back(
    bench, daemon, backends, vip
):
    held = f"{vip}/32"
    quorum = {"servers": 2, "hysteresis": 0, "action": "withdraw"}
    daemon.load(web(vip, ONE, TWO, quorum=quorum))
    daemon.becomes(vip, BOTH, IN + SLACK)
    eventually(lambda: held in daemon.balancer.addresses(), SLACK, "the VIP is there")
    backends[1].close()
    eventually(lambda: held not in daemon.balancer.addresses(), OUT + SLACK, "the VIP goes")
    assert fails(bench.outsider, vip)
    backends[1].open()
    eventually(lambda: held in daemon.balancer.addresses(), IN + SLACK, "the VIP is back")
    assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}


def test_a_server_that_comes_back_has_its_weight_raised_step_by_step(daemon, backends, vip):
    heavy = [server(ONE, weight=40), server(TWO, weight=40)]
    daemon.load(web(vip, *heavy, slow_start={"duration": "8s", "steps": 4}, scheduler="wrr"))
    daemon.becomes(vip, {ONE: 40, TWO: 40}, IN + SLACK)
    backends[1].close()
    daemon.becomes(vip, {ONE: 40}, OUT + SLACK)
    backends[1].open()
    rising: list[int] = []

    def is_whole() -> bool:
        weight = daemon.weights(vip).get(TWO)
        if weight is not None and rising[-1:] != [weight]:
            rising.append(weight)
        return bool(weight == 40)

    eventually(is_whole, IN + 8 + SLACK, "the whole weight")
    assert rising == sorted(rising)
    assert rising[0] < 40
    assert set(rising) <= {1, 10, 20, 30, 40}
    assert len(rising) >= 4


def test_quiesced_a_failing_server_has_weight_0_and_keeps_its_connections(
    bench, daemon, backends, vip
):
    daemon.load(web(vip, ONE, TWO, on_down="quiesce"))
    daemon.becomes(vip, BOTH, IN + SLACK)
    with talk_to(bench.outsider, vip, TWO) as talk:
        backends[1].status = 500
        daemon.becomes(vip, {ONE: 1, TWO: 0}, OUT + SLACK)
        assert talk.ask() == "server-2"
        assert seen(bench.outsider, vip) == ["server-1"] * 4
        backends[1].status = 200
        daemon.becomes(vip, BOTH, IN + SLACK)
        assert talk.ask() == "server-2"


def test_the_operator_is_above_the_checks_in_both_directions(bench, daemon, backends, vip):
    """dpvs #919 #920 #937"""
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    daemon.order(ONE, "down", reason="disk")
    daemon.becomes(vip, {TWO: 1}, SLACK)
    daemon.take_back(ONE)
    daemon.becomes(vip, BOTH, SLACK)
    daemon.order(TWO, "up", reason="the check is wrong")
    backends[1].status = 500
    time.sleep(OUT + 1)
    assert daemon.weights(vip) == BOTH
    daemon.take_back(TWO)
    daemon.becomes(vip, {ONE: 1}, SLACK)


def test_an_order_with_an_end_is_over_by_itself(daemon, backends, vip):
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    daemon.order(ONE, "down", **{"for": 2.0})
    daemon.becomes(vip, {TWO: 1}, SLACK)
    daemon.becomes(vip, BOTH, 2 + SLACK)


def test_a_weight_of_0_from_the_operator_is_0_and_not_1_in_the_kernel(bench, daemon, backends, vip):
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    daemon.order(ONE, "weight", weight=0)
    daemon.becomes(vip, {ONE: 0, TWO: 1}, SLACK)
    assert seen(bench.outsider, vip) == ["server-2"] * 4
    daemon.take_back(ONE)
    daemon.becomes(vip, BOTH, SLACK)
