"""What an imported configuration puts into the kernel is what the program it comes from puts there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ipvs_lb.lab.hosts import Host, stop
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import VirtualService
from ipvs_lb.netlink import open_kernel
from netns_tests.balance import Balancer

FIXTURES = Path(__file__).parents[1] / "tests" / "imports" / "fixtures"
PATIENCE = 150.0

Services = dict[ServiceKey, VirtualService]


@pytest.fixture
def gateways(network):
    """Two gateways to nowhere: what checks ask for gets no answer, neither yes nor no."""
    return [gateway(network.host(name)) for name in ("ours", "theirs")]


def gateway(host: Host) -> Host:
    host.run(["ip", "link", "add", "nowhere", "type", "dummy"])
    host.configure("nowhere", "10.20.0.2/8", "fd00::2/16")
    return host


def services(host: Host) -> Services:
    """The kernel's services, with the settings of their servers."""
    with host.call(open_kernel) as kernel:
        return dict(kernel.read().services)


def imported(host: Host, folder: Path, *arguments: str) -> Services:
    """What `ipvs-lb import` and `apply` make."""
    balancer = Balancer(host, folder)
    result = balancer.command("import", *arguments, "-o", str(balancer.config_path))
    assert result.exit_code in {0, 5}, result.stderr
    assert balancer.command("apply").exit_code == 0
    return services(host)


def assert_becomes(host: Host, wanted: Services) -> None:
    """Wait until the table is the wanted one: programs fill it one service after the other."""
    deadline = time.monotonic() + PATIENCE
    while (found := services(host)) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    keys = found.keys() | wanted.keys()
    both = {str(key): (found.get(key), wanted.get(key)) for key in keys}
    assert {key: pair for key, pair in both.items() if pair[0] != pair[1]} == {}


def test_keepalived_and_an_import_of_its_configuration_make_the_same_table(gateways, tmp_path):
    ours, theirs = gateways
    conf = str(FIXTURES / "keepalived" / "all.conf")
    wanted = imported(ours, tmp_path, conf, "--config-id", "main")
    assert len(wanted) > 40
    pids = ["-p", str(tmp_path / "parent.pid"), "-c", str(tmp_path / "checkers.pid")]
    command = ["keepalived", "--dont-fork", "--check", "--log-console", "-i", "main", "-f", conf]
    program = theirs.start([*command, *pids], log=tmp_path / "keepalived.log")
    assert_becomes(theirs, wanted)
    stop(program, patience=10)


def test_ldirectord_and_an_import_of_its_configuration_make_the_same_table(gateways, tmp_path):
    ours, theirs = gateways
    conf = str(FIXTURES / "ldirectord" / "small.cf")
    wanted = imported(ours, tmp_path, conf)
    assert len(wanted) == 2
    program = theirs.start(["ldirectord", conf, "start"], log=tmp_path / "ldirectord.log")
    assert_becomes(theirs, wanted)
    stop(program, patience=10)
