"""The walkthrough: config/example.yaml on a gateway between a client and two web servers, asked as a user asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ipvs_lb.lab import walkthrough
from ipvs_lb.lab.clients import get, servers_seen
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.walkthrough import FLOATING_IP, SERVERS, VIP
from netns_tests.balance import Balancer, alternates, reset, share

EXAMPLE = Path(__file__).parents[1] / "config" / "example.yaml"


@pytest.fixture(scope="module")
def lab():
    with Network() as network:
        yield walkthrough.build(network)


@pytest.fixture
def balancer(lab, tmp_path):
    balancer = Balancer(lab.gateway, tmp_path)
    balancer.write(EXAMPLE.read_text())
    yield balancer
    for app in lab.apps:
        app.is_healthy = True
    reset(balancer)


@pytest.mark.parametrize("port", [80, 443])
def test_answers_alternate_between_both_servers(lab, balancer, port):
    assert balancer.command("apply").exit_code == 0
    names = servers_seen(lab.client, f"http://{VIP}:{port}/", 10)
    assert alternates(names)
    assert share(names) == {"server-1": 5, "server-2": 5}


def test_the_health_page_is_reached_through_the_vip(lab, balancer):
    assert balancer.command("apply").exit_code == 0
    answers = [get(lab.client, f"http://{VIP}/health") for _ in range(2)]
    assert sorted(answer.text for answer in answers) == ["server-1 healthy\n", "server-2 healthy\n"]


def test_a_floating_ip_leads_where_the_vip_does(lab, balancer):
    balancer.write(EXAMPLE.read_text().replace(f"vip: {VIP}", f"vips: [{VIP}, {FLOATING_IP}]"))
    assert balancer.command("apply").exit_code == 0
    for port in (80, 443):
        assert alternates(servers_seen(lab.client, f"http://{FLOATING_IP}:{port}/", 4))


def test_plan_says_3_before_and_0_after_and_the_second_apply_does_nothing(balancer):
    assert balancer.command("plan").exit_code == 3
    first = balancer.command("apply")
    assert (first.exit_code, "generation 1" in first.stdout) == (0, True)
    rules = balancer.rules()
    assert balancer.command("plan").exit_code == 0
    second = balancer.command("apply", "--output", "json")
    assert second.exit_code == 0
    assert json.loads(second.stdout)["generation"] is None
    assert balancer.rules() == rules


def test_a_server_whose_health_page_fails_is_left_out_until_it_recovers(lab, balancer):
    lab.apps[1].is_healthy = False
    result = balancer.command("apply", "--check", "--output", "json")
    assert result.exit_code == 0
    left_out = json.loads(result.stdout)["left_out"]
    assert [entry["service"] for entry in left_out] == [f"tcp/{VIP}:80", f"tcp/{VIP}:443"]
    assert {entry["address"] for entry in left_out} == {SERVERS["server-2"]}
    assert all("503" in entry["reason"] for entry in left_out)
    assert share(servers_seen(lab.client, f"http://{VIP}/", 4)) == {"server-1": 4}
    lab.apps[1].is_healthy = True
    assert balancer.command("apply", "--check").exit_code == 0
    assert alternates(servers_seen(lab.client, f"http://{VIP}/", 4))


def test_status_counts_the_connections_by_name(lab, balancer):
    assert balancer.command("apply").exit_code == 0
    before = connections(balancer, 80)
    servers_seen(lab.client, f"http://{VIP}/", 6)
    after = connections(balancer, 80)
    assert {name: after[name] - before[name] for name in after} == {"server-1": 3, "server-2": 3}


def connections(balancer, port):
    """The connections that `status` shows on each server of a port, ended ones that are remembered included."""
    result = balancer.command("status", "--output", "json")
    assert result.exit_code == 0
    web = {entry["port"]: entry for entry in json.loads(result.stdout)["services"]}[port]
    assert (web["name"], web["owner"]) == ("web", "ours")
    return {
        entry["name"]: entry["active_connections"] + entry["inactive_connections"]
        for entry in web["servers"]
    }
