"""`ipvs-lb doctor` on a gateway with a fault: it is found, the command it names is run, and it is gone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.servers import Echo
from netns_tests.balance import (
    NEIGHBOUR,
    ONE,
    THREE,
    TWO,
    Balancer,
    config,
    new_vip,
    server,
    service,
)

SCRUTINY = frozenset({"clock.unsynchronised", "daemon.absent", "gateway.own_requests"})
"""What this machine has whatever a test does."""


def findings(balancer: Balancer, *options: str) -> dict[str, str]:
    """What is found, each with how it is mended."""
    done = balancer.command("doctor", "--output", "json", *options)
    assert done.exit_code in {0, 6, 7}, done.output
    found = json.loads(done.stdout)["findings"]
    return {one["code"]: one["mend"] for one in found if one["code"] not in SCRUTINY}


def mend(balancer: Balancer, command: str, host: Host | None = None) -> None:
    """Type *command*; one of ipvs-lb runs in this process."""
    words = shlex.split(command)
    if words[0] == "ipvs-lb":
        assert balancer.command(*words[1:]).exit_code == 0
    else:
        (host or balancer.host).run(words)


def declare(balancer: Balancer, *services: dict[str, object]) -> None:
    text = config(*services)
    balancer.write(text)
    balancer.apply(text)


def masq(vip: str, *servers: str | Mapping[str, Any], **settings: Any) -> dict[str, object]:
    return service(vip, *(servers or (ONE, TWO)), **settings)


@pytest.fixture
def wide(bench):
    """A VIP outside of the servers' subnet, of a gateway without a fault."""
    return "203.0.113.77"


@pytest.fixture
def healthy(balancer, wide):
    declare(balancer, masq(wide))
    assert findings(balancer) == {}
    return balancer


@pytest.mark.parametrize(
    ("code", "break_it"),
    [
        ("forwarding.off", "sysctl -w net.ipv4.ip_forward=0"),
        ("vip.link_down", "ip link set eth0 down"),
        ("service.not_in_kernel", "ipvsadm -C"),
    ],
    ids=["forwarding", "link", "flushed"],
)
def test_a_fault_is_found_and_gone_after_the_command_that_is_named(healthy, code, break_it):
    healthy.host.run(shlex.split(break_it))
    mend(healthy, findings(healthy)[code])
    assert findings(healthy) == {}


def test_a_sysctl_that_persistence_needs_is_found_and_set(balancer, wide):
    balancer.host.sysctl("net.ipv4.vs.expire_quiescent_template", 0)
    declare(balancer, masq(wide, persistence="60s"))
    found = findings(balancer)
    assert set(found) == {"sysctl.missing"}
    mend(balancer, found["sysctl.missing"])
    assert findings(balancer) == {}
    balancer.host.sysctl("net.ipv4.vs.expire_quiescent_template", 0)


def test_redirects_on_a_shared_link_are_found_and_stopped(balancer):
    balancer.host.sysctl("net.ipv4.conf.eth1.send_redirects", 1)
    vip = new_vip()
    declare(balancer, masq(vip))
    found = findings(balancer)
    assert set(found) == {"redirects.sent", "masq.clients_beside_servers"}
    mend(balancer, found["redirects.sent"])
    assert set(findings(balancer)) == {"masq.clients_beside_servers"}


def test_a_tunnel_without_room_for_full_packets_is_found_and_gets_it(balancer, wide):
    declare(balancer, masq(wide, server(ONE, forwarding="tunnel")))
    found = findings(balancer)
    assert set(found) == {"tunnel.mtu"}
    mend(balancer, found["tunnel.mtu"])
    assert findings(balancer) == {}
    balancer.host.run(shlex.split("ip link set dev eth1 mtu 1500"))


def test_servers_that_are_out_of_reach_are_found(balancer, wide):
    gateway = balancer.host
    gateway.run(shlex.split(f"ip route add 198.51.100.0/25 via {NEIGHBOUR}"))
    out = [server("192.0.2.9"), server("198.51.100.9", forwarding="dr"), server("10.0.0.1")]
    declare(balancer, masq(wide, ONE, *out))
    assert set(findings(balancer)) == {"server.unreachable", "dr.routed", "server.local"}
    gateway.run(shlex.split("ip route del 198.51.100.0/25"))
    declare(balancer, masq(wide))
    assert findings(balancer) == {}


def test_a_port_of_the_gateway_itself_is_found_on_a_vip_until_it_is_guarded(balancer, bench, wide):
    """kubernetes #72236 #108460"""
    declare(balancer, masq(wide))
    listening = Echo(bench.gateway, "tcp", 2222, wide)
    found = findings(balancer)
    balancer.write(config(masq(wide), guard_vips=True))
    guarded = findings(balancer)
    listening.close()
    assert found == {"vip.exposed": f"in {balancer.config_path}: guard_vips: yes"}
    assert guarded == {}


def test_who_else_has_a_vip_is_found_when_the_link_may_be_asked(balancer, bench):
    vip = new_vip()
    one, three = bench.servers[0], bench.servers[2]
    text = config(service(vip, server(ONE, forwarding="dr"), server(TWO, forwarding="dr")))
    balancer.write(text)
    balancer.apply(text)
    assert findings(balancer, "--probe") == {}
    one.address("lo", f"{vip}/32")
    found = findings(balancer, "--probe")
    assert set(found) == {"dr.answers_arp"}
    assert findings(balancer) == {}
    mend(balancer, found["dr.answers_arp"].removeprefix("on the server: "), one)
    assert findings(balancer, "--probe") == {}
    assert THREE not in text
    three.address("lo", f"{vip}/32")
    assert set(findings(balancer, "--probe")) == {"vip.duplicate"}
    three.run(shlex.split(f"ip address del {vip}/32 dev lo"))


def test_others_in_the_table_a_damaged_state_and_open_permissions_are_found(healthy):
    healthy.ipvsadm("-A", "-t", "203.0.113.99:80", "-s", "rr")
    assert set(findings(healthy)) == {"service.foreign"}
    mend(healthy, findings(healthy)["service.foreign"])
    healthy.state_dir.chmod(0o777)
    mend(healthy, findings(healthy)["state.writable"])
    assert findings(healthy) == {}
    (healthy.state_dir / "state.db").write_text("no database, but a letter")
    mend(healthy, findings(healthy)["state.damaged"])
    assert "state.damaged" not in findings(healthy)


def test_a_service_without_a_server_is_found_and_a_file_that_is_not_there_is_refused(
    balancer, wide, tmp_path
):
    declare(balancer, masq(wide, server(ONE, weight=0)))
    assert set(findings(balancer)) == {"service.no_server"}
    done = balancer.command("doctor", "-c", str(tmp_path / "none.yaml"))
    assert done.exit_code == 2
