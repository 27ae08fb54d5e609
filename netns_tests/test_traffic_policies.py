"""Which server a client may get: persistence, thresholds, backup tiers, servers that are out."""

from __future__ import annotations

import pytest

from ipvs_lb.errors import LabError
from netns_tests.balance import (
    MORE_OUTSIDERS,
    ONE,
    ONE_6,
    OUTSIDER_6,
    THREE,
    TWO,
    TWO_6,
    Conversation,
    alternates,
    answered,
    config,
    new_vip,
    new_vip_6,
    server,
    service,
    share,
)

CLOSED = 9
"""A TCP port that nothing listens on."""


def test_a_persistent_client_stays_and_the_next_client_gets_the_next_server(bench, balancer):
    vip = new_vip()
    balancer.apply(config(service(vip, ONE, TWO, persistence="300s")))
    first, second = (bench.seen(vip, 3, source=source) for source in MORE_OUTSIDERS[:2])
    assert [share(first), share(second)] in (
        [{"server-1": 3}, {"server-2": 3}],
        [{"server-2": 3}, {"server-1": 3}],
    )


def test_persistence_on_all_ports_keeps_a_client_on_one_server_for_every_port(bench, balancer):
    vip = new_vip()
    balancer.apply(config(service(vip, ONE, TWO, port=0, persistence="300s")))
    for source in MORE_OUTSIDERS[:2]:
        ports = (80, 443, 8080, 80)
        names = {answered(bench.outsider, vip, port=port, source=source) for port in ports}
        assert len(names) == 1


def test_a_netmask_makes_one_client_of_neighbours(bench, balancer):
    vip = new_vip()
    grouped = {"timeout": "300s", "netmask": "255.255.255.248"}
    balancer.apply(config(service(vip, ONE, TWO, persistence=grouped)))
    names = [answered(bench.outsider, vip, source=source) for source in MORE_OUTSIDERS]
    assert len(set(names[:4])) == len(set(names[4:])) == 1, ".20 to .23, and .24 to .27"
    assert names[0] != names[4]


def test_persistence_over_ipv6_tells_clients_apart_by_prefix(bench, balancer):
    vip = new_vip_6()
    for other in ("2001:db8:1::3", "2001:db8:1:ffff::2"):
        bench.outsider.address("eth0", f"{other}/128")
    for host in bench.servers:
        host.route("2001:db8:1:ffff::/64", "2001:db8:2::1")
    bench.gateway.route("2001:db8:1:ffff::/64", OUTSIDER_6)
    grouped = {"timeout": "300s", "prefix": 64}
    balancer.apply(config(service(vip, ONE_6, TWO_6, persistence=grouped)))
    sources = (OUTSIDER_6, "2001:db8:1::3", "2001:db8:1:ffff::2")
    near, beside, far = (answered(bench.outsider, vip, source=source) for source in sources)
    assert near == beside != far


def test_a_server_at_its_upper_threshold_is_skipped(bench, balancer):
    vip = new_vip()
    full = server(ONE, upper_threshold=1)
    balancer.apply(config(service(vip, full, TWO)))
    with Conversation(bench.outsider, vip) as one, Conversation(bench.outsider, vip) as other:
        assert {one.server, other.server} == {"server-1", "server-2"}
        assert share(bench.seen(vip, 4)) == {"server-2": 4}


def test_a_disabled_server_gets_nothing(bench, balancer):
    vip = new_vip()
    balancer.apply(config(service(vip, ONE, server(TWO, disabled=True), THREE)))
    assert share(bench.seen(vip, 4)) == {"server-1": 2, "server-3": 2}


def test_a_backup_serves_only_when_no_server_of_the_first_tier_can(bench, balancer):
    vip = new_vip()
    spare = server(THREE, backup=True)
    balancer.apply(config(service(vip, ONE, TWO, spare)))
    assert share(bench.seen(vip, 4)) == {"server-1": 2, "server-2": 2}
    off = [server(ONE, disabled=True), server(TWO, weight=0)]
    balancer.apply(config(service(vip, *off, spare)))
    assert share(bench.seen(vip, 2)) == {"server-3": 2}
    balancer.apply(config(service(vip, ONE, TWO, spare)))
    assert alternates(bench.seen(vip, 4))


def checked(*servers, **settings):
    check = {"type": "tcp", "interval": "2s", "timeout": "1s"}
    return lambda vip: config(service(vip, *servers, health_check=check, **settings))


def test_apply_with_check_leaves_out_servers_that_fail_and_takes_them_back(bench, balancer):
    vip = new_vip()
    broken = server(TWO, health_check={"type": "tcp", "port": CLOSED})
    balancer.write(checked(ONE, broken)(vip))
    result = balancer.command("apply", "--check")
    assert result.exit_code == 0, result.output
    assert f"{TWO}:80 of tcp/{vip}:80 is left out: refused" in result.stderr
    assert share(bench.seen(vip, 3)) == {"server-1": 3}
    balancer.write(checked(ONE, TWO)(vip))
    assert balancer.command("apply", "--check").exit_code == 0
    assert alternates(bench.seen(vip, 4))


def test_apply_with_check_turns_to_the_backup_when_the_first_tier_fails(bench, balancer):
    vip = new_vip()
    broken = server(ONE, health_check={"type": "tcp", "port": CLOSED})
    balancer.write(checked(broken, server(TWO, backup=1))(vip))
    assert balancer.command("apply", "--check").exit_code == 0
    assert share(bench.seen(vip, 2)) == {"server-2": 2}


def test_without_any_healthy_server_clients_are_refused_not_left_hanging(bench, balancer):
    vip = new_vip()
    broken = server(ONE, health_check={"type": "tcp", "port": CLOSED})
    balancer.write(checked(broken)(vip))
    assert balancer.command("apply", "--check").exit_code == 0
    with pytest.raises(LabError, match="refused"):
        answered(bench.outsider, vip)


def test_checks_are_not_believed_below_the_panic_threshold(bench, balancer):
    vip = new_vip()
    doubted = {"type": "tcp", "port": CLOSED}
    servers = [server(one, health_check=doubted) for one in (ONE, TWO)]
    balancer.write(checked(*servers, panic_threshold="50%")(vip))
    assert balancer.command("apply", "--check").exit_code == 0
    assert alternates(bench.seen(vip, 4))
