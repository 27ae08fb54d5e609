"""What an imported configuration puts into the kernel is what the program it comes from puts there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ipvs_lb.lab.hosts import Host, stop
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.settings import Timeouts
from ipvs_lb.model.table import VirtualService
from ipvs_lb.netlink import open_kernel
from netns_tests.balance import Balancer

FIXTURES = Path(__file__).parents[1] / "tests" / "imports" / "fixtures"
PATIENCE = 150.0

Found = tuple[dict[ServiceKey, VirtualService], Timeouts | None]


@pytest.fixture
def gateways(network):
    """Two gateways to nowhere: what checks ask for gets no answer, neither yes nor no."""
    return [gateway(network.host(name)) for name in ("ours", "theirs")]


def gateway(host: Host) -> Host:
    host.run(["ip", "link", "add", "nowhere", "type", "dummy"])
    host.configure("nowhere", "10.20.0.2/8", "fd00::2/16")
    return host


def table(host: Host) -> Found:
    """The kernel's services, with the settings of their servers, and its timeouts."""
    with host.call(open_kernel) as kernel:
        found = kernel.read()
    return dict(found.services), found.timeouts


def imported(host: Host, folder: Path, *arguments: str) -> Found:
    """What `ipvs-lb import` and `apply` make."""
    balancer = Balancer(host, folder)
    result = balancer.command("import", *arguments, "-o", str(balancer.config_path))
    assert result.exit_code in {0, 5}, result.stderr
    assert balancer.command("apply").exit_code == 0
    return table(host)


def assert_becomes(host: Host, wanted: Found) -> None:
    """Wait until the table is the wanted one: programs fill it one service after the other."""
    deadline = time.monotonic() + PATIENCE
    while (found := table(host)) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    there, expected = found[0], wanted[0]
    both = {str(key): (there.get(key), expected.get(key)) for key in there.keys() | expected.keys()}
    assert {key: pair for key, pair in both.items() if pair[0] != pair[1]} == {}
    assert found[1] == wanted[1]


def test_keepalived_and_an_import_of_its_configuration_make_the_same_table(gateways, tmp_path):
    ours, theirs = gateways
    conf = str(FIXTURES / "keepalived" / "all.conf")
    wanted = imported(ours, tmp_path, conf, "--config-id", "main")
    assert len(wanted[0]) > 60
    pids = ["-p", str(tmp_path / "parent.pid"), "-c", str(tmp_path / "checkers.pid")]
    command = ["keepalived", "--dont-fork", "--check", "--log-console", "-i", "main", "-f", conf]
    program = theirs.start([*command, *pids], log=tmp_path / "keepalived.log")
    assert_becomes(theirs, wanted)
    stop(program, patience=10)


def test_ldirectord_and_an_import_of_its_configuration_make_the_same_table(gateways, tmp_path):
    ours, theirs = gateways
    conf = str(FIXTURES / "ldirectord" / "small.cf")
    wanted = imported(ours, tmp_path, conf)
    assert len(wanted[0]) == 1
    program = theirs.start(["ldirectord", conf, "start"], log=tmp_path / "ldirectord.log")
    assert_becomes(theirs, wanted)
    stop(program, patience=10)
