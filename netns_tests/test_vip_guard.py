"""Guarded VIPs: services answer on them, what listens on the gateway itself does not."""

import socket

import pytest

from ipvs_lb.lab.clients import exchange
from netns_tests.balance import (
    ONE,
    ONE_6,
    OUTSIDER,
    OUTSIDER_6,
    TWO,
    TWO_6,
    Conversation,
    answered,
    config,
    echo,
    new_vip,
    new_vip_6,
    service,
    share,
)
from netns_tests.test_access import is_dropped

pytestmark = pytest.mark.nftables

SSH = 2222  # stands for what a gateway has on 0.0.0.0
MARKED = 8080
MARKING = """
table ip marking {{
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    ip daddr {vip} tcp dport {port} meta mark set 9
  }}
}}
"""


def test_only_services_answer_on_a_guarded_vip_until_it_is_not_guarded_any_more(
    bench, balancer, tmp_path
):
    """kubernetes #72236 #108460"""
    vip, vip_6, whole, free = new_vip(), new_vip_6(), new_vip(), new_vip()
    gateway, outsider = bench.gateway, bench.outsider
    services = [
        service(vip, ONE, TWO, name="web"),
        service(vip, ONE, TWO, name="dns", protocol="udp", ports=[53]),
        service(vip_6, ONE_6, TWO_6),
        service(vip, TWO, name="mark", fwmark=9),
        service(whole, ONE, ports=[0], persistence="60s"),
        {**service(free, ONE), "vip": {"address": free, "announce": False, "guard": "no"}},
    ]
    echo(gateway, "tcp", SSH)
    balancer.apply(config(*services, manage_sysctls="yes"))
    echo(gateway, "udp", SSH, vip)
    echo(gateway, "udp", SSH, vip_6)
    for address in (vip, vip_6):
        assert answered(outsider, address, port=SSH) == "gateway"
        assert answered(outsider, address, port=SSH, protocol="udp") == "gateway"
    marking = tmp_path / "marking"
    marking.write_text(MARKING.format(vip=vip, port=MARKED))
    gateway.run(["nft", "-f", str(marking)])
    try:
        with Conversation(outsider, vip, SSH) as talk:
            guarded = config(*services, manage_sysctls="yes", guard_vips="yes")
            shown = str(balancer.apply(guarded).firewall_first[0])
            assert f"on {vip}, {whole}, {vip_6} nothing but " in shown
            assert balancer.plan(guarded).is_empty
            assert talk.ask() == "gateway", "what is open already goes on"
        assert answered(outsider, "203.0.113.1", port=SSH) == "gateway"
        assert answered(outsider, free, port=SSH) == "gateway"
        for address in (vip, vip_6):
            assert is_dropped(outsider, address, port=SSH)
            assert is_dropped(outsider, address, port=SSH, protocol="udp")
            assert share(bench.seen(address, 4)) == {"server-1": 2, "server-2": 2}
            assert is_answered_by_ping(outsider, address)
        assert is_dropped(bench.neighbour, vip, port=SSH)
        assert set(bench.seen(vip, 2, port=53, protocol="udp")) == {"server-1", "server-2"}
        assert answered(outsider, vip, port=MARKED) == "server-2"
        assert answered(outsider, whole, port=443) == "server-1"
        assert is_dropped(outsider, whole, port=53, protocol="udp")
        check_the_gateway_s_own_connections(bench, vip, vip_6)
    finally:
        gateway.run(["nft", "delete", "table", "ip", "marking"])
    balancer.apply(config(*services, manage_sysctls="yes"))
    assert "ipvs_lb" not in gateway.run(["nft", "list", "tables"]).stdout
    for address in (vip, vip_6):
        assert answered(outsider, address, port=SSH) == "gateway"
        assert answered(outsider, address, port=SSH, protocol="udp") == "gateway"


def check_the_gateway_s_own_connections(bench, vip, vip_6):
    """It reaches what listens on it through its VIPs, and others from them, which do not get in without that."""
    assert answered(bench.gateway, vip, port=SSH) == "gateway"
    for address, other, port in ((vip, OUTSIDER, 5300), (vip_6, OUTSIDER_6, 5306)):
        for protocol in ("tcp", "udp"):
            echo(bench.outsider, protocol, port, other)
            back = exchange(bench.gateway, protocol, other, port, source=(address, port))
            assert back == "outsider hello"
        assert is_dropped(bench.outsider, address, port=SSH, source=other, protocol="udp")


def is_answered_by_ping(client, address):
    """Whether an ICMP echo request comes back."""
    client.sysctl("net.ipv4.ping_group_range", "0 0")
    return client.call(_ping, address)


def _ping(address):
    six = ":" in address
    family, protocol = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    )
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as ping:
        ping.settimeout(5.0)
        ping.connect((address, 0))
        ping.send(bytes([128 if six else 8, 0, 0, 0, 0, 0, 0, 1]) + b"hello")
        return ping.recv(100).endswith(b"hello")
