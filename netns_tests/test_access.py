"""A service for some networks only: who is meant gets answers, everybody else gets nothing at all."""

import socket
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager

import pytest

from ipvs_lb.errors import LabError
from netns_tests.balance import (
    EMPTY,
    MORE_OUTSIDERS,
    NEIGHBOUR,
    ONE,
    ONE_6,
    OUTSIDER,
    OUTSIDER_6,
    TWO,
    TWO_6,
    Conversation,
    answered,
    config,
    new_vip,
    new_vip_6,
    service,
    share,
)
from netns_tests.daemon import Running, eventually
from netns_tests.octavia import NETWORKS, Cloud

pytestmark = pytest.mark.nftables

SHORT = 1.0  # seconds that a client without an answer waits
EMULATED = 300.0  # seconds that a whole machine in an emulator may take to start a daemon
COUNTED = 3.0  # more than the seconds after which the kernel adds counters up (net/netfilter/ipvs/ip_vs_est.c)
OTHER = MORE_OUTSIDERS[0]


def is_dropped(client, vip, **choices):
    """Whether there is neither an answer nor a refusal."""
    try:
        answered(client, vip, timeout=SHORT, **choices)
    except LabError as error:
        return isinstance(error.__cause__, TimeoutError)
    return False


def test_only_declared_networks_get_answers_and_the_restriction_comes_and_goes(bench, balancer):
    vip, vip_6 = new_vip(), new_vip_6()
    four = service(vip, ONE, TWO, ports=[80, 443], allow=[f"{OUTSIDER}/32", "198.51.100.0/24"])
    six = service(vip_6, ONE_6, TWO_6, allow=["2001:db8:9::/48"])
    dns = service(vip, ONE, TWO, name="dns", protocol="udp", ports=[53], allow=OUTSIDER)
    balancer.apply(config(four, six, dns, manage_sysctls="yes"))
    for port, protocol in ((80, "tcp"), (443, "tcp"), (53, "udp")):
        where = {"port": port, "protocol": protocol}
        assert share(bench.seen(vip, 4, source=OUTSIDER, **where)) == {"server-1": 2, "server-2": 2}
        assert is_dropped(bench.outsider, vip, source=OTHER, **where)
    assert is_dropped(bench.outsider, vip_6, source=OUTSIDER_6)
    dropped = balancer.host.run(["nft", "list", "table", "ip6", "ipvs_lb"]).stdout
    assert "2001:db8:9::/48" in dropped

    narrowed = {**four, "allow": OTHER}
    balancer.apply(config(narrowed, {**six, "allow": OUTSIDER_6}, manage_sysctls="yes"))
    assert share(bench.seen(vip, 2, source=OTHER)) == {"server-1": 1, "server-2": 1}
    assert is_dropped(bench.outsider, vip, source=OUTSIDER)
    assert share(bench.seen(vip_6, 2, source=OUTSIDER_6)) == {"server-1": 1, "server-2": 1}

    rolled_back = balancer.command("rollback")
    assert rolled_back.exit_code == 0, rolled_back.output
    assert share(bench.seen(vip, 2, source=OUTSIDER)) == {"server-1": 1, "server-2": 1}
    assert is_dropped(bench.outsider, vip, source=OTHER)

    open_to_all = {key: value for key, value in four.items() if key != "allow"}
    balancer.apply(config(open_to_all, manage_sysctls="yes"))
    assert "ipvs_lb" not in balancer.host.run(["nft", "list", "tables"]).stdout
    for source in (OUTSIDER, OTHER):
        assert share(bench.seen(vip, 2, source=source)) == {"server-1": 1, "server-2": 1}


def test_a_connection_ends_when_its_client_is_no_longer_allowed(bench, balancer):
    vip = new_vip()
    web = service(vip, ONE, allow=[OUTSIDER, OTHER])
    balancer.apply(config(web, manage_sysctls="yes"))
    with Conversation(bench.outsider, vip, source=OTHER) as talk:
        assert talk.ask() == "server-1"
        balancer.apply(config({**web, "allow": OUTSIDER}, manage_sysctls="yes"))
        talk._connection.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            talk.ask()


def test_source_nat_and_restrictions_hold_together(bench, balancer):
    vip = new_vip()
    web = service(vip, ONE, TWO, allow=f"{NEIGHBOUR}/32", source_nat="auto")
    balancer.apply(config(web, manage_sysctls="yes"))
    seen = [answered(bench.neighbour, vip) for _ in range(4)]
    assert share(seen) == {"server-1": 2, "server-2": 2}
    assert is_dropped(bench.outsider, vip)


def test_marks_and_all_ports_are_restricted_as_ipvs_looks_services_up(bench, balancer, tmp_path):
    vip, marked = new_vip(), new_vip()
    script = tmp_path / "marking"
    script.write_text(MARKING.format(vip=marked, source=OTHER))
    balancer.host.run(["nft", "-f", str(script)])
    try:
        whole = service(vip, ONE, name="whole", ports=[0], persistence="60s", allow=OTHER)
        web = service(vip, TWO, name="web")
        mark = service(marked, TWO, name="mark", fwmark=9, allow=MORE_OUTSIDERS[1])
        closed = service(marked, ONE, name="closed", allow=OUTSIDER)
        balancer.apply(config(whole, web, mark, closed, manage_sysctls="yes"))
        assert answered(bench.outsider, vip, port=443, source=OTHER) == "server-1"
        assert is_dropped(bench.outsider, vip, port=443, source=OUTSIDER)
        assert answered(bench.outsider, vip, source=OUTSIDER) == "server-2"
        assert answered(bench.outsider, marked, source=OUTSIDER) == "server-1"
        assert is_dropped(bench.outsider, marked, source=OTHER)
        balancer.apply(config(whole, web, {**mark, "allow": OTHER}, closed, manage_sysctls="yes"))
        assert answered(bench.outsider, marked, source=OTHER) == "server-2"
    finally:
        balancer.host.run(["nft", "delete", "table", "ip", "marking"])


MARKING = """
table ip marking {{
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    ip daddr {vip} ip saddr {source} meta mark set 9
  }}
}}
"""


def test_no_client_gets_in_while_a_restricted_service_comes_and_goes(bench, balancer):
    vip = new_vip()
    text = config(service(vip, ONE, allow="198.51.100.0/24"), manage_sysctls="yes")
    with asking(bench.outsider, vip) as outcomes:
        for _ in range(2):
            balancer.apply(text)
            balancer.apply(EMPTY)
    assert outcomes["asked"] > 0
    assert {"answered", "refused"}.isdisjoint(outcomes)


@contextmanager
def asking(client, vip):
    """What becomes of connections that *client* tries one after the other meanwhile."""
    outcomes: Counter[str] = Counter()
    over = threading.Event()

    def work():
        while not over.is_set():
            outcomes["asked"] += 1
            try:
                client.call(socket.create_connection, (vip, 80), timeout=0.1).close()
                outcomes["answered"] += 1
            except ConnectionRefusedError:
                outcomes["refused"] += 1
            except OSError:
                over.wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield outcomes
    finally:
        over.set()
        thread.join()


def test_the_daemon_puts_back_what_a_flush_took_and_says_so(bench, tmp_path):
    vip = new_vip()
    web = service(vip, ONE, allow=OTHER)
    daemon = Running(bench, tmp_path)
    try:
        settings = {"manage_sysctls": "yes", "daemon": {"reconcile_interval": "1s"}}
        daemon.balancer.write(config(web, **settings))
        daemon.start(wait=False)
        eventually(daemon.is_at_work, EMULATED, "it is at work")
        assert answered(bench.outsider, vip, source=OTHER) == "server-1"
        assert is_dropped(bench.outsider, vip)
        bench.gateway.run(["nft", "flush", "ruleset"])
        eventually(lambda: "ipvs_lb" in tables(bench), EMULATED, "the firewall again")
        assert is_dropped(bench.outsider, vip)
        assert answered(bench.outsider, vip, source=OTHER) == "server-1"
        told = [one for one in daemon.api.get("/v1/events")["events"] if "drift" in one["name"]]
        assert [one["name"] for one in told] == ["drift.repaired"]
        assert vip in str(told)
        daemon.load()
        eventually(lambda: "ipvs_lb" not in tables(bench), EMULATED, "no firewall")
    finally:
        daemon.close()


def test_allowed_cidrs_of_the_compatible_api_hold_before_ipvs_and_neighbours_are_answered(
    bench, tmp_path
):
    """Source NAT is on unless said otherwise: the neighbour is in the members' own subnet."""
    daemon = Running(bench, tmp_path)
    octavia = {"auth": "none"}
    daemon.balancer.write(config(networks=NETWORKS, octavia=octavia, manage_sysctls="yes"))
    try:
        daemon.start(wait=False)
        eventually(daemon.is_at_work, EMULATED, "it is at work")
        with closing(Cloud(bench.gateway)) as cloud:
            made = cloud.make("/loadbalancers", "loadbalancer", **site(cloud, OUTSIDER, NEIGHBOUR))
            balancer, vip = f"/loadbalancers/{made['id']}", made["vip_address"]
            assert cloud.settle(made["id"], EMULATED) == "ACTIVE"
            for client in (bench.outsider, bench.neighbour):
                seen = [answered(client, vip) for _ in range(4)]
                assert share(seen) == {"server-1": 2, "server-2": 2}
            assert is_dropped(bench.outsider, vip, source=OTHER)

            def counted():
                return cloud.get(f"{balancer}/stats")["total_connections"]

            eventually(lambda: counted() >= 8, EMULATED, "the kernel has added up")
            time.sleep(COUNTED)
            assert counted() == 8

            (listener,) = (f"/listeners/{one['id']}" for one in cloud.get("/listeners"))
            cloud.change(listener, "listener", allowed_cidrs=[OTHER])
            assert cloud.settle(made["id"], EMULATED) == "ACTIVE"
            assert share(bench.seen(vip, 2, source=OTHER)) == {"server-1": 1, "server-2": 1}
            for client in (bench.outsider, bench.neighbour):
                assert is_dropped(client, vip)
            cloud.delete(f"{balancer}?cascade=true")
            eventually(lambda: "ipvs_lb" not in tables(bench), EMULATED, "no firewall")
    finally:
        daemon.close()


def site(cloud, *allowed):
    """A load balancer with two members for those who are *allowed*."""
    members = [{"address": address, "protocol_port": 80} for address in (ONE, TWO)]
    pool = {"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN", "members": members}
    listener = {"protocol": "TCP", "protocol_port": 80, "allowed_cidrs": [*allowed]}
    return {
        "vip_subnet_id": cloud.subnet(),
        "listeners": [{**listener, "default_pool": pool}],
    }


def tables(bench):
    return bench.gateway.run(["nft", "list", "tables"]).stdout
