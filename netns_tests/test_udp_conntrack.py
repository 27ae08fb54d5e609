"""UDP clients that keep their port, on a gateway that tracks connections: they find the server that is there."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_address

import pytest

from ipvs_lb.addresses import LinuxHost
from ipvs_lb.lab.packages import find_program
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from netns_tests.balance import (
    ONE,
    ONE_6,
    OUTSIDER,
    OUTSIDER_6,
    TWO,
    TWO_6,
    config,
    new_vip,
    new_vip_6,
    service,
)
from netns_tests.daemon import eventually, running

WITHIN = 20.0  # seconds, on a busy machine
NODEST = "net.ipv4.vs.expire_nodest_conn"


@pytest.fixture(scope="module")
def gateway(bench):
    """A firewall on it lets answers pass to those who asked, and nobody else."""
    gateway = bench.gateway
    gateway.sysctl("net.ipv4.vs.conntrack", 1)
    for name in ("iptables", "ip6tables"):
        program = find_program(f"{name}-legacy") or find_program(name)
        assert program, f"the test tracks connections with {name}: apt-get install iptables"
        answers = ["-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"]
        gateway.run([program, "-A", "FORWARD", *answers])
        gateway.run([program, "-P", "FORWARD", "DROP"])
    return gateway


@pytest.fixture(scope="module")
def daemon(bench, gateway, tmp_path_factory):
    with running(bench, tmp_path_factory.mktemp("daemon")) as started:
        yield started


class Client:
    """Somebody who asks a VIP on port 53 from one port, again and again."""

    def __init__(self, host, vip: str) -> None:
        kind = socket.AF_INET6 if ":" in vip else socket.AF_INET
        self._socket = host.call(socket.socket, kind, socket.SOCK_DGRAM)
        self._socket.settimeout(0.5)
        self._socket.bind((OUTSIDER_6 if ":" in vip else OUTSIDER, 0))
        self._socket.connect((vip, 53))

    def close(self) -> None:
        self._socket.close()

    def ask(self) -> str:
        """The server that answers, "nobody" when none does."""
        try:
            self._socket.send(b"hello")
            name: str = self._socket.recv(100).decode().partition(" ")[0]
        except OSError:
            return "nobody"
        return name


def dns(vip, *servers):
    return service(vip, *servers, port=53, protocol="udp")


def load(daemon, *services, manage_sysctls):
    daemon.balancer.write(config(*services, manage_sysctls=manage_sysctls))
    daemon.api.post("/v1/reload")


def answers(client: Client, servers: set[str]) -> Callable[[], bool]:
    return lambda: client.ask() in servers


def test_a_client_leaves_a_server_that_went_and_stays_with_one_that_is_there(bench, daemon):
    """keepalived #1781, kubernetes #76664 #139628 #105192"""
    vip = new_vip()
    both = {"server-1": ONE, "server-2": TWO}
    load(daemon, dns(vip, ONE, TWO), manage_sysctls="no")
    with closing(Client(bench.outsider, vip)) as one, closing(Client(bench.outsider, vip)) as two:
        eventually(answers(one, {*both}), WITHIN, "the first is answered")
        eventually(answers(two, {*both}), WITHIN, "the second is answered")
        gone, left = one.ask(), two.ask()
        assert {gone, left} == {*both}, "each has a server of its own"
        daemon.order(both[gone], "down")
        eventually(lambda: f"-r {both[gone]}:53" not in str(daemon.balancer.rules()), WITHIN, "out")
        assert [one.ask() for _ in range(3)] == ["nobody"] * 3, "without the sysctl it is stuck"
        assert two.ask() == left

        load(daemon, dns(vip, ONE, TWO), manage_sysctls="yes")
        eventually(answers(one, {left}), WITHIN, "it is led to the server that is left")
        assert two.ask() == left
        assert bench.gateway.read_sysctl(NODEST) == "1"
        daemon.take_back(both[gone])


@pytest.mark.parametrize("new", [new_vip, new_vip_6], ids=["ipv4", "ipv6"])
def test_a_client_that_asked_before_its_service_was_there_is_answered_once_it_is(
    bench, daemon, new
):
    vip = new()
    server = ONE_6 if ":" in vip else ONE
    other = {**service(vip, server), "name": "holds-the-vip"}
    load(daemon, other, manage_sysctls="yes")
    with closing(Client(bench.outsider, vip)) as early:
        assert [early.ask() for _ in range(3)] == ["nobody"] * 3
        load(daemon, other, dns(vip, server), manage_sysctls="yes")
        eventually(answers(early, {"server-1"}), WITHIN, "it is answered")
        eventually(lambda: "clients.forgotten" in daemon.events(), WITHIN, "that is told")


def test_one_shot_apply_opens_a_service_for_early_clients_too(bench, gateway, balancer):
    vip = new_vip()
    other = {**service(vip, ONE), "name": "holds-the-vip"}
    balancer.apply(config(other))
    with closing(Client(bench.outsider, vip)) as early:
        assert [early.ask() for _ in range(3)] == ["nobody"] * 3
        balancer.apply(config(other, dns(vip, ONE)))
        assert [early.ask() for _ in range(3)] == ["server-1"] * 3


@pytest.mark.parametrize("new", [new_vip, new_vip_6], ids=["ipv4", "ipv6"])
def test_only_clients_that_are_led_elsewhere_are_forgotten(bench, gateway, balancer, new):
    vip, other = new(), new()
    here, elsewhere = (ONE_6, TWO_6) if ":" in vip else (ONE, TWO)
    balancer.apply(config(dns(vip, here), dns(other, here)))
    key = AddressKey(IPProtocol.UDP, ip_address(vip), Port(53))
    with closing(Client(bench.outsider, vip)) as one, closing(Client(bench.outsider, other)) as two:
        assert (one.ask(), two.ask()) == ("server-1", "server-1")
        before = tracked(gateway)
        assert forget(gateway, {key: {ip_address(here)}}) == 0
        assert tracked(gateway) == before
        assert forget(gateway, {key: {ip_address(elsewhere)}}) == 1
        assert tracked(gateway) == before - 1
        assert (one.ask(), two.ask()) == ("server-1", "server-1")


def forget(gateway, services):
    return gateway.call(LinuxHost().forget_clients, services)


def tracked(gateway) -> int:
    return int(gateway.read_sysctl("net.netfilter.nf_conntrack_count"))


def test_where_nothing_is_tracked_there_is_nothing_to_do(bench):
    key = AddressKey(IPProtocol.UDP, ip_address(new_vip()), Port(53))
    assert forget(bench.neighbour, {key: set()}) == 0
