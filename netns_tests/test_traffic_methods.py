"""Every way a packet can take to a server and back, seen by the client that asked."""

from __future__ import annotations

import json

import pytest

from ipvs_lb.errors import LabError
from ipvs_lb.lab.clients import exchange
from ipvs_lb.lab.packages import find_program
from netns_tests.balance import (
    NEIGHBOUR,
    ONE,
    ONE_6,
    OUTSIDER,
    TWO,
    TWO_6,
    alternates,
    answered,
    config,
    echo,
    hold_vip,
    new_vip,
    new_vip_6,
    server,
    service,
)


def test_masq_servers_answer_an_outsider_in_turn(bench, balancer):
    vip = new_vip()
    balancer.apply(config(service(vip, ONE, TWO)))
    assert alternates(bench.seen(vip, 6))


def test_masq_maps_the_service_port_to_another_port_of_the_server(bench, balancer):
    vip = new_vip()
    mapped = (server(ONE, port=8080), server(TWO, port=443))
    balancer.apply(config(service(vip, *mapped, port=7000)))
    assert alternates(bench.seen(vip, 4, port=7000))
    assert f"-a -t {vip}:7000 -r {ONE}:8080 -m -w 1" in balancer.rules()


def test_masq_over_ipv6(bench, balancer):
    vip = new_vip_6()
    balancer.apply(config(service(vip, ONE_6, TWO_6)))
    assert alternates(bench.seen(vip, 6))


def test_dr_servers_answer_a_neighbour_directly(bench, balancer):
    vip = new_vip()
    for host in bench.servers[:2]:
        hold_vip(host, vip)
    balancer.apply(config(service(vip, ONE, TWO, forwarding="dr")))
    assert alternates([answered(bench.neighbour, vip) for _ in range(6)])
    assert bench.gateway.mac("eth1") in neighbours(bench.neighbour, vip), "the gateway answers ARP"


def test_dr_over_ipv6(bench, balancer):
    vip = new_vip_6()
    for host in bench.servers[:2]:
        hold_vip(host, vip)
    balancer.apply(config(service(vip, ONE_6, TWO_6, forwarding="dr")))
    assert alternates([answered(bench.neighbour, vip) for _ in range(6)])
    assert bench.gateway.mac("eth1") in neighbours(bench.neighbour, vip), "the gateway answers ND"


def neighbours(host, address):
    return host.run(["ip", "neighbour", "show", address]).stdout


@pytest.mark.parametrize(
    "tunnel",
    [
        pytest.param({"type": "ipip"}, id="ipip"),
        pytest.param({"type": "gue", "port": 6080}, id="gue"),
        pytest.param({"type": "gue", "port": 6080, "checksum": "csum"}, id="gue-with-checksum"),
        pytest.param({"type": "gre"}, id="gre"),
        pytest.param({"type": "gre", "checksum": "csum"}, id="gre-with-checksum"),
    ],
)
def test_tunnel_servers_unwrap_and_answer_directly(bench, balancer, tunnel):
    vip = new_vip()
    for host, own in zip(bench.servers[:2], (ONE, TWO), strict=True):
        hold_vip(host, vip)
        unwrap(host, own, tunnel)
    balancer.apply(config(service(vip, ONE, TWO, forwarding="tunnel", tunnel=tunnel)))
    assert alternates([answered(bench.neighbour, vip) for _ in range(6)])
    for host in bench.servers[:2]:
        assert unwrapped(host) >= 3, "the requests came through the tunnel"
        wrap_no_more(host, tunnel)


def unwrap(host, own, tunnel):
    """The interface that takes what the gateway encapsulates; for gue also the UDP port it comes to."""
    if tunnel["type"] == "gue":
        host.run(["modprobe", "fou"])
        host.run(["ip", "fou", "add", "port", str(tunnel["port"]), "gue"])
    kind = "gre" if tunnel["type"] == "gre" else "ipip"
    checksum = ["csum"] if kind == "gre" and "checksum" in tunnel else []
    ends = ["local", own, "remote", "10.0.0.1"]
    host.run(["ip", "link", "add", "unwrap", "type", kind, *ends, *checksum])
    host.link_up("unwrap")
    host.sysctl("net.ipv4.conf.unwrap.rp_filter", 0)


def unwrapped(host):
    shown = host.run(["ip", "-json", "-statistics", "link", "show", "unwrap"]).stdout
    return json.loads(shown)[0]["stats64"]["rx"]["packets"]


def wrap_no_more(host, tunnel):
    host.run(["ip", "link", "delete", "unwrap"])
    if tunnel["type"] == "gue":
        host.run(["ip", "fou", "del", "port", str(tunnel["port"])])


def test_masq_and_dr_servers_can_stand_side_by_side(bench, balancer):
    vip = new_vip()
    hold_vip(bench.servers[1], vip)
    bench.gateway.sysctl(
        "net.ipv4.conf.eth1.accept_local", 1
    )  # the dr server's answers pass it too
    balancer.apply(config(service(vip, ONE, server(TWO, forwarding="dr"))))
    assert alternates(bench.seen(vip, 4))
    methods = [line.split()[-3] for line in balancer.rules() if line.startswith("-a")]
    assert methods == ["-m", "-g"]


def test_udp_keeps_a_client_port_on_its_server_and_spreads_others(bench, balancer):
    vip = new_vip()
    balancer.apply(config(service(vip, ONE, TWO, protocol="udp", port=53)))
    assert alternates(bench.seen(vip, 4, protocol="udp", port=53))
    assert len(set(from_one_port(bench.outsider, OUTSIDER, vip, 53))) == 1


def test_udp_one_packet_scheduling_spreads_even_one_client_port(bench, balancer):
    vip = new_vip()
    for host in bench.servers[:2]:
        hold_vip(host, vip)
        echo(host, "udp", 5300, vip)
    spread = {"protocol": "udp", "port": 5300, "forwarding": "dr", "one_packet": True}
    balancer.apply(config(service(vip, ONE, TWO, **spread)))
    assert alternates(from_one_port(bench.neighbour, NEIGHBOUR, vip, 5300))


def from_one_port(client, own, vip, port):
    """The servers that answer datagrams of one client port, as DNS and SIP clients may send them."""
    answers = [exchange(client, "udp", vip, port, source=(own, 5353)) for _ in range(4)]
    return [answer.partition(" ")[0] for answer in answers]


def test_sctp_associations_are_balanced(bench, balancer):
    bench.gateway.run(["modprobe", "sctp"])
    for host in bench.servers[:2]:
        echo(host, "sctp", 9000, "0.0.0.0")
    vip = new_vip()
    balancer.apply(config(service(vip, ONE, TWO, protocol="sctp", port=9000)))
    assert alternates(bench.seen(vip, 4, protocol="sctp", port=9000))


def test_a_firewall_mark_makes_one_service_of_two_ports(bench, balancer):
    vip = new_vip()
    for port in ("80", "443"):
        mark = ["-d", vip, "-p", "tcp", "--dport", port, "-j", "MARK", "--set-mark", "7"]
        bench.gateway.run([iptables(), "-t", "mangle", "-A", "PREROUTING", *mark])
    balancer.apply(config(service(vip, ONE, TWO, fwmark=7)))
    names = [answered(bench.outsider, vip, port=port) for port in (80, 443, 80, 443, 443, 80)]
    assert alternates(names), "one round robin over both ports"
    with pytest.raises(LabError):
        answered(bench.outsider, vip, port=8080, timeout=0.5)


def iptables():
    found = find_program("iptables-legacy") or find_program("iptables")
    assert found, "the test marks packets with iptables: apt-get install iptables"
    return found


def test_a_range_and_a_list_of_ports_are_all_served(bench, balancer):
    vip = new_vip()
    for port in (8001, 8002):
        for host in bench.servers[:2]:
            echo(host, "tcp", port)
    balancer.apply(config(service(vip, ONE, TWO, ports=[80, "8001-8002"])))
    for port in (80, 8001, 8002):
        assert alternates(bench.seen(vip, 2, port=port))


def test_a_floating_address_outside_leads_to_the_same_servers(bench, balancer):
    vip, floating = new_vip(), "203.0.113.99"
    vips = [{"address": vip, "announce": False}, {"address": floating, "announce": False}]
    declared = {key: value for key, value in service(vip, ONE, TWO).items() if key != "vip"}
    balancer.apply(config({**declared, "vips": vips}))
    assert alternates(bench.seen(vip, 4))
    assert alternates(bench.seen(floating, 4))
    shown = balancer.host.run(["ip", "-brief", "address"]).stdout
    places = {line.split()[0].partition("@")[0]: line for line in shown.splitlines()}
    assert f" {floating}/32" in places["eth0"]
    assert f" {vip}/32" in places["eth1"]
