"""What the trackers of other load balancers complain of, seen by clients. docs/explanation has the whole list."""

from __future__ import annotations

import pytest

from ipvs_lb.lab.clients import exchange
from netns_tests.balance import (
    ONE,
    ONE_6,
    OUTSIDER,
    THREE,
    TWO,
    TWO_6,
    config,
    new_vip,
    new_vip_6,
    server,
    service,
)
from netns_tests.daemon import IN, PORT, SLACK, Backend, eventually, running, seen, web
from netns_tests.launcher import Launcher
from netns_tests.node_exporter import exporting, of_kernel, read, shown_by

BOTH = {ONE: 1, TWO: 1}
TOTAL: tuple[str, frozenset[tuple[str, str]]] = ("node_ipvs_connections_total", frozenset())
QUIESCENT = "net.ipv4.vs.expire_quiescent_template"


@pytest.fixture(scope="module")
def daemon(bench, tmp_path_factory):
    for host in bench.servers:
        Backend(host)
    folder = tmp_path_factory.mktemp("daemon")
    with running(bench, folder, Launcher(bench.gateway).start) as started:
        yield started


@pytest.fixture
def vip():
    return new_vip()


def test_a_drained_server_empties_although_its_client_comes_again_and_again_from_one_port(
    bench, daemon, vip
):
    """kubernetes #81775 #84322"""
    source = (OUTSIDER, 47110)

    def ask() -> str:
        said = exchange(bench.outsider, "tcp", vip, PORT, source=source)
        return said.partition(" ")[0]

    daemon.load(web(vip, ONE))
    daemon.becomes(vip, {ONE: 1}, IN + SLACK)
    assert ask() == "server-1"
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    daemon.order(ONE, "drain")
    daemon.becomes(vip, {ONE: 0, TWO: 1}, SLACK)
    assert [ask() for _ in range(4)] == ["server-2"] * 4
    daemon.becomes(vip, {TWO: 1}, 2 + SLACK)
    daemon.take_back(ONE)


def test_a_client_with_persistence_leaves_a_server_of_weight_0(bench, daemon, vip):
    """kubernetes #71809 #81587: the kernel has a switch for it, which is set where sysctls are managed."""
    declared = service(vip, ONE, TWO, ports=[PORT], persistence="5m")
    daemon.balancer.write(config(declared, manage_sysctls=True))
    daemon.api.post("/v1/reload")
    daemon.becomes(vip, BOTH, SLACK)
    (there,) = set(seen(bench.outsider, vip))
    leaving, staying = (ONE, TWO) if there == "server-1" else (TWO, ONE)
    daemon.order(leaving, "drain")
    daemon.becomes(vip, {leaving: 0, staying: 1}, SLACK)
    assert bench.gateway.read_sysctl(QUIESCENT) == "1"
    assert set(seen(bench.outsider, vip)) == {"server-2" if there == "server-1" else "server-1"}
    daemon.take_back(leaving)


def test_the_gateway_itself_reaches_a_vip_of_masq_services(bench, daemon, vip):
    """keepalived #2213 #2450: its own packets pass IPVS on their way out (NF_INET_LOCAL_OUT)."""
    daemon.load(web(vip, ONE, TWO))
    daemon.becomes(vip, BOTH, IN + SLACK)
    assert set(seen(bench.gateway, vip)) == {"server-1", "server-2"}


def test_metrics_show_the_kernel_s_table_as_node_exporter_does_of_the_same_table(
    bench, daemon, vip
):
    """keepalived #2001 #1579"""
    vip_6, foreign = new_vip_6(), new_vip()
    web_6 = service(vip_6, ONE_6, server(TWO_6, weight=7))
    dns = service(vip, TWO, name="dns", protocol="udp", ports=[53])
    marked = service(vip, ONE, name="marked", fwmark=10)
    daemon.balancer.ipvsadm("-A", "-t", f"{foreign}:8080", "-s", "wrr")
    daemon.balancer.ipvsadm("-a", "-t", f"{foreign}:8080", "-r", f"{THREE}:8080", "-m", "-w", "300")
    daemon.load(web(vip, ONE, TWO), web_6, dns, marked)
    daemon.becomes(vip, BOTH, IN + SLACK)
    with exporting(bench.gateway):
        seen(bench.outsider, vip)
        bench.seen(vip_6, 2)
        bench.seen(vip, 2, port=53, protocol="udp")
        eventually(lambda: shown_by(bench.gateway)[TOTAL] >= 8, SLACK, "the kernel has added up")
        eventually(lambda: ours(daemon) == shown_by(bench.gateway), 30, "they agree")
        found = shown_by(bench.gateway)
    assert len(found) == 5 + 3 * 7
    assert sorted(v for (name, _), v in found.items() if name.endswith("_weight"))[-2:] == [7, 300]
    eventually(lambda: connections(daemon, "dns") >= 1, SLACK, "the kernel has added up")


def connections(daemon, service):
    """The connections of the service of that name."""
    return next(
        value
        for (name, labels), value in read(daemon.metrics()).items()
        if name == "ipvs_lb_service_connections_total" and ("service", service) in labels
    )


def ours(daemon):
    """The kernel's series as the daemon shows them."""
    return of_kernel(read(daemon.metrics()))
