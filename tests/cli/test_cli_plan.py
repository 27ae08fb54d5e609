"""`ipvs-lb plan`: what a person and a program see of a change."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey, ServiceKey
from ipvs_lb.model.settings import Server, Service, Timeouts
from ipvs_lb.model.table import ServiceStatistics, Table, VirtualService
from tests.cli.conftest import WEB, Box

Golden = Callable[[str, str], None]

WEB_80, WEB_443, OLD, FOREIGN = (
    AddressKey(IPProtocol.TCP, ip_address(f"10.0.0.{host}"), Port(port))
    for host, port in ((16, 80), (16, 443), (16, 8080), (99, 22))
)
RR = Service(scheduler="rr")


def server(host: int, port: int) -> ServerKey:
    return ServerKey(ip_address(f"10.0.0.{host}"), Port(port))


EVERYTHING = """\
version: 1
timeouts: {tcp: 600s, tcp_fin: 60s, udp: 30s}
sync:
  - {role: master, interface: eth0}
services:
  - name: web
    vip: 10.0.0.16
    port: 80
    scheduler: mh
    flags: [mh-fallback]
    persistence: {timeout: 300s}
    source_nat: on
    allow: 192.0.2.0/24
    servers:
      - {address: 10.0.0.4, forwarding: tunnel, tunnel: {type: gue, port: 6080}}
      - {address: 10.0.0.6, upper_threshold: 100}
"""

CHANGED = (
    WEB.replace("10.0.0.6}", "10.0.0.6, weight: 0}")
    .replace("[80, 443]", "[80, 443, 8443]")
    .replace("scheduler: rr", "scheduler: sh")
)


@pytest.fixture
def changed(box: Box) -> Box:
    """A gateway where the first config is in force, people are connected, and the config has changed."""
    box.config(
        WEB.replace("[80, 443]", "[80, 443, 8080]").replace("scheduler: rr", "scheduler: sh")
    )
    assert box.run("apply", "-c", "lb.yaml").exit_code == 0
    foreign: dict[ServiceKey, VirtualService] = {
        FOREIGN: VirtualService(RR, {server(4, 22): Server()})
    }
    box.kernel.table = Table(
        {**box.kernel.table.services, **foreign},
        box.kernel.table.timeouts,
        box.kernel.table.daemons,
    )
    box.kernel.counters = {
        WEB_80: ServiceStatistics(
            servers={
                server(4, 80): ServerCounters(active=3),
                server(6, 80): ServerCounters(active=12, inactive=4),
            }
        ),
        OLD: ServiceStatistics(servers={server(4, 8080): ServerCounters(active=1)}),
    }
    box.config(CHANGED)
    return box


def test_a_first_plan_for_a_person(box: Box, golden: Golden) -> None:
    result = box.run("plan", "-c", "lb.yaml")
    assert result.exit_code == 3
    golden("plan_first.txt", result.output)


def test_a_first_plan_for_a_program(box: Box, golden: Golden) -> None:
    result = box.run("plan", "-c", "lb.yaml", "--output", "json")
    assert result.exit_code == 3
    golden("plan_first.json", result.stdout)


def test_a_change_for_a_person(changed: Box, golden: Golden) -> None:
    result = changed.run("plan", "-c", "lb.yaml")
    assert result.exit_code == 3
    golden("plan_changed.txt", result.output)


def test_a_change_for_a_program(changed: Box, golden: Golden) -> None:
    result = changed.run("plan", "-c", "lb.yaml", "--output", "json")
    assert result.exit_code == 3
    golden("plan_changed.json", result.stdout)


def test_a_change_of_every_kind_of_setting_for_a_person(box: Box, golden: Golden) -> None:
    box.run("apply", "-c", "lb.yaml")
    timeouts = Timeouts(tcp=900, tcp_fin=120, udp=300)
    box.kernel.table = replace(box.kernel.table, timeouts=timeouts)
    box.config(EVERYTHING)
    result = box.run("plan", "-c", "lb.yaml")
    assert result.exit_code == 3
    golden("plan_everything.txt", result.stdout)
    assert box.run("apply", "-c", "lb.yaml").exit_code == 0
    box.config("version: 1\nservices: []\n")
    result = box.run("plan", "-c", "lb.yaml")
    assert result.exit_code == 3
    golden("plan_nothing_left.txt", result.stdout)


def test_clients_that_move_are_told(box: Box) -> None:
    box.config(WEB.replace("scheduler: rr", "scheduler: mh"))
    box.run("apply", "-c", "lb.yaml")
    more = "      - {name: server-3, address: 10.0.0.7}\n"
    box.config(WEB.replace("scheduler: rr", "scheduler: mh") + more)
    exact = r"tcp/10\.0\.0\.16:80: 3\d\.\d% of clients get another server"
    assert re.search(exact, box.run("plan", "-c", "lb.yaml").stdout)
    box.config(WEB.replace("scheduler: rr", "scheduler: sh"))
    estimate = "about 50% (estimate) of clients get another server"
    assert estimate in box.run("plan", "-c", "lb.yaml").stdout


def test_a_big_plan_of_the_gateway_is_summarised_too(box: Box) -> None:
    vips = [f"10.0.1.{n}" for n in range(60)]
    one = WEB.replace("[80, 443]", "[80]").replace("vip: 10.0.0.16", "vips: " + str(vips))
    box.config(one)
    told = box.run("plan", "-c", "lb.yaml").stdout
    assert "... and 10 more changes (all with --verbose)" in told


def test_a_big_impact_is_summarised_too(box: Box) -> None:
    ports = ", ".join(str(port) for port in range(8000, 8060))
    box.config(WEB.replace("80, 443", ports))
    box.run("apply", "-c", "lb.yaml")
    box.config("version: 1\nservices: []\n")
    assert "... on 10 more services" in box.run("plan", "-c", "lb.yaml").stdout


def test_planning_changes_nothing_and_leaves_no_trace(box: Box) -> None:
    box.run("plan", "-c", "lb.yaml")
    assert box.kernel.table.services == {}
    assert not box.state_dir.exists()


def test_an_empty_plan_exits_with_0(box: Box) -> None:
    box.run("apply", "-c", "lb.yaml")
    result = box.run("plan", "-c", "lb.yaml")
    assert (result.exit_code, result.stdout) == (0, "Nothing to do.\n")
    assert (
        json.loads(box.run("plan", "-c", "lb.yaml", "--output", "json").stdout)["changes"] is False
    )


def test_pruning_plans_the_removal_of_foreign_services(changed: Box) -> None:
    assert "1 foreign service left alone." in changed.run("plan", "-c", "lb.yaml").stdout
    pruned = changed.run("plan", "-c", "lb.yaml", "--prune").stdout
    assert f"- {FOREIGN}" in pruned
    assert "foreign" not in pruned


def test_a_big_plan_is_summarised_unless_everything_is_asked_for(box: Box) -> None:
    ports = ", ".join(str(port) for port in range(8000, 8060))
    box.config(WEB.replace("80, 443", ports))
    short = box.run("plan", "-c", "lb.yaml").stdout
    assert "... and 10 more services (all with --verbose)" in short
    assert "tcp/10.0.0.16:8059" not in short
    assert "tcp/10.0.0.16:8059" in box.run("plan", "-c", "lb.yaml", "--verbose").stdout
    assert "services: 60 to add" in short


def test_a_sysctl_to_set_by_hand_is_told_with_the_command(box: Box) -> None:
    box.host.state.sysctls["net.ipv4.ip_forward"] = "0"  # type: ignore[index]  # a dict in the fake
    result = box.run("plan", "-c", "lb.yaml")
    assert "type: sysctl -w net.ipv4.ip_forward=1" in result.stderr
    told = json.loads(box.run("plan", "-c", "lb.yaml", "--output", "json").stdout)
    assert told["missing_sysctls"][0]["command"] == "sysctl -w net.ipv4.ip_forward=1"


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_and_follows_no_color(
    box: Box, variables: dict[str, str], coloured: bool
) -> None:
    result = box.run("plan", "-c", "lb.yaml", color=True, **variables)
    assert ("\x1b[" in result.output) is coloured


def test_addresses_that_become_guarded_are_told_and_the_gateway_s_own_above_all(box: Box) -> None:
    own = "  - {name: own, vip: 10.0.0.2, port: 8080, servers: [{address: 10.0.0.4}]}\n"
    box.config(WEB + own)
    assert box.run("apply", "-c", "lb.yaml").exit_code == 0
    box.config(WEB.replace("version: 1\n", "version: 1\nguard_vips: yes\n") + own)
    shown = box.run("plan", "-c", "lb.yaml").stdout
    what = "the gateway's own ports get no new connections here any more"
    assert (
        "  ~ set firewall: on 10.0.0.2, 10.0.0.16 nothing but tcp/10.0.0.2:8080, tcp/10.0.0.16:80,"
        " tcp/10.0.0.16:443 answers\n" in shown
    )
    assert f"  10.0.0.2: {what}, ssh among them; it is no VIP that was put here\n" in shown
    assert f"  10.0.0.16: {what}\n" in shown
    planned = json.loads(box.run("plan", "-c", "lb.yaml", "--output", "json").stdout)
    assert planned["closings"] == [
        {"address": "10.0.0.2", "own": True},
        {"address": "10.0.0.16", "own": False},
    ]
