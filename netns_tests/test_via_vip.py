"""Checks through the VIP: each probe takes the forwarding path to its one server, and finds what a direct one misses."""

from __future__ import annotations

import json

import pytest

from netns_tests.balance import (
    ONE,
    ONE_6,
    TWO,
    TWO_6,
    answered,
    config,
    hold_vip,
    new_vip,
    new_vip_6,
    server,
    service,
)
from netns_tests.daemon import eventually, running

CHECK = {
    "type": "tcp",
    "via": "vip",
    "interval": "1s",
    "fast_interval": "1s",
    "timeout": "900ms",
    "rise": 1,
    "fall": 2,
}
WITHIN = 20.0
"""Seconds for a few probes and what follows from them, on a busy machine."""
ACCEPT_LOCAL = "net.ipv4.conf.eth1.accept_local"
MARKED = "-A -f 12"  # the marks of probes begin so, and no others here


@pytest.fixture(scope="module")
def daemon(bench, tmp_path_factory):
    with running(bench, tmp_path_factory.mktemp("daemon")) as started:
        yield started


@pytest.fixture(autouse=True)
def as_before(bench, daemon):
    yield
    daemon.load()
    bench.gateway.sysctl(ACCEPT_LOCAL, 0)
    bench.gateway.sysctl("net.ipv4.conf.all.rp_filter", 0)
    bench.gateway.sysctl("net.ipv4.conf.eth1.rp_filter", 0)


def load(daemon, *services, manage_sysctls="yes"):
    often = {"reconcile_interval": "1s"}
    daemon.balancer.write(config(*services, manage_sysctls=manage_sysctls, daemon=often))
    daemon.api.post("/v1/reload")


def probed(vip, *servers, check=CHECK, **settings):
    return service(vip, *servers, health_check=check, **settings)


def probe_rules(daemon):
    """The rules that are there for probes, each service with its servers."""
    rules = daemon.balancer.rules()
    marks = [rule.split()[2] for rule in rules if rule.startswith(MARKED)]
    return [rule for rule in rules if rule.split()[2] in marks]


def drop_vip(host, vip):
    host.run(["ip", "address", "del", f"{vip}/{128 if ':' in vip else 32}", "dev", "lo"])


def test_a_dr_server_is_in_exactly_while_it_has_the_vip(bench, daemon):
    vip = new_vip()
    hold_vip(bench.servers[0], vip)
    direct = {key: value for key, value in CHECK.items() if key != "via"}
    load(daemon, probed(vip, ONE, TWO, check=direct, forwarding="dr"))
    daemon.becomes(vip, {ONE: 1, TWO: 1}, WITHIN)  # a direct check sees nothing wrong
    assert bench.gateway.read_sysctl(ACCEPT_LOCAL) == "0"

    load(daemon, probed(vip, ONE, TWO, forwarding="dr"))
    daemon.becomes(vip, {ONE: 1}, WITHIN)
    assert bench.gateway.read_sysctl(ACCEPT_LOCAL) == "1"
    assert {answered(bench.neighbour, vip) for _ in range(4)} == {"server-1"}
    why = json.dumps(daemon.api.get(f"/v1/servers/{TWO}/explain"))
    assert f"tcp check of {TWO}:80 through tcp/{vip}:80 is down" in why

    hold_vip(bench.servers[1], vip)
    daemon.becomes(vip, {ONE: 1, TWO: 1}, WITHIN)
    assert {answered(bench.neighbour, vip) for _ in range(4)} == {"server-1", "server-2"}
    for host in bench.servers[:2]:
        drop_vip(host, vip)


def test_probes_reach_their_server_by_every_method_over_both_families(bench, daemon):
    vips = {name: new_vip() for name in ("masq", "mapped", "tunnel", "marked", "every-port", "udp")}
    vips |= {name: new_vip_6() for name in ("masq-6", "dr-6")}
    one = bench.servers[0]
    for name in ("tunnel", "marked", "dr-6"):
        hold_vip(one, vips[name])
    one.run(["ip", "link", "add", "unwrap", "type", "ipip", "local", ONE, "remote", "10.0.0.1"])
    one.link_up("unwrap")
    one.sysctl("net.ipv4.conf.unwrap.rp_filter", 0)
    on_80 = {**CHECK, "port": 80}
    asked = {**CHECK, "type": "udp", "payload": "ping"}
    asked |= {"expect": "server-", "mask": {"hex": "ff" * len("server-")}}
    load(
        daemon,
        probed(vips["masq"], ONE, TWO),
        probed(vips["mapped"], server(ONE, port=8080), server(TWO, port=9), port=7000),
        probed(vips["tunnel"], ONE, TWO, forwarding="tunnel"),
        probed(vips["marked"], ONE, TWO, forwarding="dr", fwmark=7, check=on_80),
        probed(vips["every-port"], ONE, TWO, ports=[0], persistence="60s", check=on_80),
        probed(vips["udp"], ONE, TWO, port=53, protocol="udp", check=asked),
        probed(vips["masq-6"], ONE_6, TWO_6),
        probed(vips["dr-6"], ONE_6, TWO_6, forwarding="dr"),
    )
    wanted = {
        f"-a -t {vips['masq']}:80 -r {ONE}:80 -m -w 1",
        f"-a -t {vips['masq']}:80 -r {TWO}:80 -m -w 1",
        f"-a -t {vips['mapped']}:7000 -r {ONE}:8080 -m -w 1",
        f"-a -t {vips['tunnel']}:80 -r {ONE}:80 -i -w 1 --tun-type ipip",
        f"-a -f 7 -r {ONE}:0 -g -w 1",
        f"-a -t {vips['every-port']}:0 -r {ONE}:0 -m -w 1",
        f"-a -t {vips['every-port']}:0 -r {TWO}:0 -m -w 1",
        f"-a -u {vips['udp']}:53 -r {ONE}:53 -m -w 1",
        f"-a -u {vips['udp']}:53 -r {TWO}:53 -m -w 1",
        f"-a -t [{vips['masq-6']}]:80 -r [{ONE_6}]:80 -m -w 1",
        f"-a -t [{vips['masq-6']}]:80 -r [{TWO_6}]:80 -m -w 1",
        f"-a -t [{vips['dr-6']}]:80 -r [{ONE_6}]:80 -g -w 1",
    }

    def found():
        own = set(daemon.balancer.rules()) - set(probe_rules(daemon))
        return {rule for rule in own if rule.startswith("-a")}

    try:
        eventually(lambda: found() == wanted, WITHIN, "exactly the good servers are in")
    except AssertionError:
        shown = [one["why"] for one in daemon.api.get("/v1/servers")["servers"]]
        what = f"missing {wanted - found()}, besides {found() - wanted}: {shown}"
        raise AssertionError(what) from None
    finally:
        one.run(["ip", "link", "delete", "unwrap"])
        for name in ("tunnel", "marked", "dr-6"):
            drop_vip(one, vips[name])


def test_probe_services_are_kept_in_the_kernel_and_are_nobody_s_business(bench, daemon):
    vip = new_vip()
    patient = {**CHECK, "interval": "3s", "timeout": "2s"}
    load(daemon, probed(vip, ONE, TWO, check=patient))
    daemon.becomes(vip, {ONE: 1, TWO: 1}, WITHIN)
    laid = probe_rules(daemon)
    assert len(laid) == 4, "a service with one server for each of two servers"
    status = daemon.api.get("/v1/status")
    assert [one["owner"] for one in status["services"]] == ["ours"]

    mark = laid[0].split()[2]
    daemon.balancer.ipvsadm("-D", "-f", mark)
    eventually(lambda: probe_rules(daemon) == laid, WITHIN, "the lost service is back")
    daemon.end()
    daemon.start()
    assert probe_rules(daemon) == laid, "the same marks after a restart"
    load(daemon, probed(new_vip(), ONE), probed(vip, ONE, TWO, check=patient))
    assert set(laid) <= set(probe_rules(daemon)), "and after a reload"
    told = daemon.api.get("/v1/events")["events"]
    downs = [one for one in told if one["name"] == "server.down"]
    assert not [one for one in downs if one["facts"]["service"] == f"tcp/{vip}:80"]
    daemon.load()
    assert probe_rules(daemon) == []


def test_a_sysctl_that_is_not_set_for_us_is_told_and_strict_filters_are_loosened(bench, daemon):
    vip = new_vip()
    hold_vip(bench.servers[0], vip)
    bench.gateway.sysctl("net.ipv4.conf.eth1.rp_filter", 1)
    dr = probed(vip, ONE, forwarding="dr")
    dr["vip"]["interface"] = "lo"
    load(daemon, dr, manage_sysctls="no")
    daemon.becomes(vip, {}, WITHIN)

    def told():
        events = daemon.api.get("/v1/events")["events"]
        return {one["facts"]["sysctl"] for one in events if one["name"] == "sysctl.missing"}

    needed = {f"{ACCEPT_LOCAL}=1", "net.ipv4.conf.eth1.rp_filter=2"}
    eventually(lambda: told() >= needed, WITHIN, "what is missing is told")
    load(daemon, dr)
    daemon.becomes(vip, {ONE: 1}, WITHIN)
    assert bench.gateway.read_sysctl("net.ipv4.conf.eth1.rp_filter") == "2"
    drop_vip(bench.servers[0], vip)
