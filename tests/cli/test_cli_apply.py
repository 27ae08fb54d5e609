"""`ipvs-lb apply` and `rollback`: what is done, told, remembered and taken back."""

import json
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.commands import AddServer
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.model.table import Table, VirtualService
from tests.cli.conftest import EMPTY, WEB, Box

WEB_80, WEB_443, FOREIGN = (
    AddressKey(IPProtocol.TCP, ip_address(f"10.0.0.{host}"), Port(port))
    for host, port in ((16, 80), (16, 443), (99, 22))
)
SOMEBODY_ELSES = VirtualService(Service(scheduler="lc"))
CHECKED = WEB.replace(
    "    servers:\n", "    health_check: {type: tcp, interval: 5s, timeout: 1s}\n    servers:\n"
)

LOCK_HOLDER = """
import sys, time
from pathlib import Path
from ipvs_lb.store import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def servers(box: Box, key: AddressKey = WEB_80) -> list[str]:
    return [str(server) for server in box.kernel.table.services[key].servers]


def start_holder(directory: Path, seconds: float) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", LOCK_HOLDER, str(directory), str(seconds)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"held\n"
    return child


def test_applying_changes_the_kernel_shows_the_plan_and_names_the_generation(box: Box) -> None:
    result = box.run("apply", "-c", "lb.yaml")
    assert result.exit_code == 0
    assert "+ tcp/10.0.0.16:80  scheduler rr" in result.stdout
    assert result.stdout.endswith("Done: generation 1.\n")
    assert servers(box) == ["10.0.0.4:80", "10.0.0.6:80"]
    assert servers(box, WEB_443) == ["10.0.0.4:443", "10.0.0.6:443"]


def test_applying_twice_does_nothing_the_second_time(box: Box) -> None:
    box.run("apply", "-c", "lb.yaml")
    done = len(box.kernel.executed)
    result = box.run("apply", "-c", "lb.yaml")
    assert (result.exit_code, result.stdout) == (0, "Nothing to do.\n")
    assert len(box.kernel.executed) == done
    assert len(box.store.generations()) == 1


def test_a_dry_run_shows_the_plan_and_changes_nothing(box: Box) -> None:
    result = box.run("apply", "-c", "lb.yaml", "--dry-run")
    assert result.exit_code == 3
    assert "Plan: services: 2 to add" in result.stdout
    assert box.kernel.table.services == {}
    assert not box.state_dir.exists()


def test_an_empty_config_removes_exactly_what_is_ours(box: Box) -> None:
    box.run("apply", "-c", "lb.yaml")
    services = {**box.kernel.table.services, FOREIGN: SOMEBODY_ELSES}
    box.kernel.table = Table(services, box.kernel.table.timeouts, box.kernel.table.daemons)
    box.config(EMPTY)
    assert box.run("apply", "-c", "lb.yaml").exit_code == 0
    assert box.kernel.table.services == {FOREIGN: SOMEBODY_ELSES}


def test_pruning_removes_what_is_foreign(box: Box) -> None:
    box.kernel.table = Table({FOREIGN: SOMEBODY_ELSES}, None, {})
    result = box.run("apply", "-c", "lb.yaml", "--prune")
    assert result.exit_code == 0
    assert FOREIGN not in box.kernel.table.services


def test_the_outcome_for_a_program(box: Box) -> None:
    told = json.loads(box.run("apply", "-c", "lb.yaml", "--output", "json").stdout)
    assert told["schema"] == "ipvs_lb/apply/1"
    assert told["generation"] == {
        "generation": 1,
        "created": 1700000000.0,
        "origin": str(box.folder / "lb.yaml"),
        "service_count": 2,
        "server_count": 4,
    }
    assert told["plan"]["changes"] is True
    again = json.loads(box.run("apply", "-c", "lb.yaml", "--output", "json").stdout)
    assert again["generation"] is None
    assert again["plan"]["steps"] == []


def test_a_refusal_is_taken_back_and_exits_with_4(box: Box) -> None:
    refused = AddServer(WEB_443, ServerKey(ip_address("10.0.0.6"), Port(443)), Server())
    box.kernel.refuse = {refused: 22}
    result = box.run("apply", "-c", "lb.yaml")
    assert result.exit_code == 4
    assert "error: " in result.stderr
    assert "10.0.0.6:443" in result.stderr
    assert box.kernel.table.services == {}
    assert box.store.generations() == ()


def test_a_refusal_for_a_program(box: Box) -> None:
    refused = AddServer(WEB_443, ServerKey(ip_address("10.0.0.6"), Port(443)), Server())
    box.kernel.refuse = {refused: 22}
    result = box.run("apply", "-c", "lb.yaml", "--output", "json")
    assert result.exit_code == 4
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert (error["kind"], error["exit_code"]) == ("RefusedError", 4)
    assert "10.0.0.6:443" in error["message"]


def test_checking_leaves_out_the_servers_that_fail(box: Box) -> None:
    box.config(CHECKED)
    box.failing = {"10.0.0.6:80 of tcp/10.0.0.16:80": ErrorClass.REFUSED}
    result = box.run("apply", "-c", "lb.yaml", "--check")
    assert result.exit_code == 0
    assert "warning: 10.0.0.6:80 of tcp/10.0.0.16:80 is left out: refused: as told" in result.stderr
    assert servers(box) == ["10.0.0.4:80"]


def test_checking_for_a_program_names_who_is_left_out(box: Box) -> None:
    box.config(CHECKED)
    box.failing = {"10.0.0.6:80 of tcp/10.0.0.16:80": ErrorClass.TIMEOUT}
    result = box.run("apply", "-c", "lb.yaml", "--check", "--output", "json")
    assert json.loads(result.stdout)["left_out"] == [
        {
            "service": "tcp/10.0.0.16:80",
            "address": "10.0.0.6",
            "port": 80,
            "reason": "timeout: as told",
        }
    ]


def test_a_check_that_could_not_be_made_is_told_and_believed(box: Box) -> None:
    box.config(CHECKED)
    box.failing = {"10.0.0.6:80 of tcp/10.0.0.16:80": ErrorClass.LOCAL}
    result = box.run("apply", "-c", "lb.yaml", "--check")
    assert (
        "warning: 10.0.0.6:80 of tcp/10.0.0.16:80 could not be checked: local: as told"
        in result.stderr
    )
    assert len(servers(box)) == 2


def test_a_check_through_the_vip_is_left_to_the_daemon_and_told(box: Box) -> None:
    box.config(CHECKED.replace("{type: tcp,", "{type: tcp, via: vip,"))
    box.failing = {"10.0.0.6:80 of tcp/10.0.0.16:80": ErrorClass.REFUSED}
    result = box.run("apply", "-c", "lb.yaml", "--check")
    assert (
        "warning: 10.0.0.6:80 of tcp/10.0.0.16:80 could not be checked: "
        "check: only the daemon checks through the VIP"
    ) in result.stderr
    assert len(servers(box)) == 2


def test_a_server_fails_when_fewer_checks_pass_than_required(box: Box) -> None:
    two = "    health_checks: [{type: tcp}, {type: tcp, port: 81}]\n    required: 1\n    servers:\n"
    box.config(WEB.replace("    servers:\n", two))
    box.failing = {"10.0.0.6:80 of tcp/10.0.0.16:80": ErrorClass.REFUSED}
    result = box.run("apply", "-c", "lb.yaml", "--check")
    assert "10.0.0.6:80 of tcp/10.0.0.16:80 is left out" in result.stderr


def test_without_check_nobody_is_asked(box: Box) -> None:
    box.config(CHECKED)
    box.failing = {"10.0.0.6:80 of tcp/10.0.0.16:80": ErrorClass.REFUSED}
    box.run("apply", "-c", "lb.yaml")
    assert len(servers(box)) == 2


def test_two_at_once_the_second_says_who_holds_it(box: Box) -> None:
    holder = start_holder(box.state_dir, 30)
    try:
        result = box.run("apply", "-c", "lb.yaml", "--wait", "0")
        assert result.exit_code == 1
        assert f"in use by process {holder.pid}" in result.stderr
        assert "hint: wait for it with --wait SECONDS" in result.stderr
        assert box.run("plan", "-c", "lb.yaml").exit_code == 3
    finally:
        holder.kill()
        holder.wait()


def test_two_at_once_the_second_waits_and_says_so(box: Box) -> None:
    holder = start_holder(box.state_dir, 0.3)
    start = time.monotonic()
    result = box.run("apply", "-c", "lb.yaml", "--wait", "30")
    holder.wait()
    assert result.exit_code == 0
    assert f"waiting for process {holder.pid}" in result.stderr
    assert time.monotonic() - start < 20


def test_a_damaged_state_file_is_told(box: Box) -> None:
    box.run("apply", "-c", "lb.yaml")
    box.state_dir.joinpath("state.db").write_bytes(b"garbage" * 999)
    box.config(EMPTY)
    result = box.run("apply", "-c", "lb.yaml")
    assert "no longer known as ours" in result.stderr
    assert WEB_80 in box.kernel.table.services


@pytest.fixture
def applied_twice(box: Box) -> Box:
    box.run("apply", "-c", "lb.yaml")
    box.config(WEB.replace("rr", "wlc").replace(", 443", ""))
    box.run("apply", "-c", "lb.yaml")
    return box


def test_rolling_back_returns_to_the_generation_before(applied_twice: Box) -> None:
    box = applied_twice
    result = box.run("rollback")
    assert result.exit_code == 0
    assert "scheduler wlc -> rr" in result.stdout
    assert result.stdout.endswith("Done: generation 3.\n")
    assert servers(box, WEB_443) == ["10.0.0.4:443", "10.0.0.6:443"]
    assert box.store.generations()[-1].origin == "rollback to 1"


def test_rolling_back_twice_is_back_at_the_start(applied_twice: Box) -> None:
    before = applied_twice.kernel.table
    applied_twice.run("rollback")
    applied_twice.run("rollback")
    assert applied_twice.kernel.table == before


def test_rolling_back_to_a_number(applied_twice: Box) -> None:
    applied_twice.run("rollback")
    result = applied_twice.run("rollback", "2", "--output", "json")
    assert json.loads(result.stdout)["generation"]["generation"] == 4
    assert WEB_443 not in applied_twice.kernel.table.services


def test_a_dry_rollback_changes_nothing(applied_twice: Box) -> None:
    result = applied_twice.run("rollback", "--dry-run")
    assert result.exit_code == 3
    assert WEB_443 not in applied_twice.kernel.table.services


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rollback"], "no generation before the newest"),
        (["rollback", "9"], "no generation 9: kept are 1 to 1"),
        (["rollback", "0"], "0 is not in the range"),
    ],
)
def test_a_rollback_to_nowhere_is_refused(box: Box, arguments: list[str], message: str) -> None:
    box.run("apply", "-c", "lb.yaml")
    result = box.run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_generations_are_listed(applied_twice: Box) -> None:
    lines = applied_twice.run("rollback", "--list").stdout.splitlines()
    assert lines[0].split() == ["GENERATION", "WHEN", "(UTC)", "SERVICES", "SERVERS", "FROM"]
    assert lines[2].split()[:5] == ["2", "2023-11-14", "22:13:20", "1", "2"]
    told = json.loads(applied_twice.run("rollback", "--list", "--output", "json").stdout)
    assert [one["generation"] for one in told["generations"]] == [1, 2]


def test_an_empty_list_says_so(box: Box) -> None:
    assert box.run("rollback", "--list").stdout == "Nothing has been applied yet.\n"


def test_a_vip_that_another_host_answers_for_is_told(box: Box) -> None:
    place = InterfaceAddress("eth0", ip_address("10.0.0.16"), 32)
    box.host.others = {place: "02:00:00:00:00:09"}
    result = box.run("apply", "-c", "lb.yaml")
    assert result.exit_code == 0
    assert "10.0.0.16 is answered by 02:00:00:00:00:09 on eth0" in result.stderr
    assert place in box.host.state.addresses
