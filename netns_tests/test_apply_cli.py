"""The commands on a real kernel: transactions, interruptions, ownership, one at a time, exit codes."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from ipvs_lb.store import locked
from netns_tests.balance import (
    EMPTY,
    ONE,
    ONE_6,
    TWO,
    TWO_6,
    Balancer,
    Conversation,
    config,
    new_vip,
    new_vip_6,
    server,
    service,
)

BROADCAST = "10.0.0.255"
"""What only the kernel knows to be no server: the gateway's network decides it."""


@pytest.fixture
def vip():
    return new_vip()


def run(balancer, *arguments, exit_code=0):
    result = balancer.command(*arguments)
    assert result.exit_code == exit_code, result.output
    return result


def foreign(balancer, port=8080):
    """A service that somebody else made; its first two rules."""
    where = f"198.51.100.7:{port}"
    balancer.ipvsadm("-A", "-t", where, "-s", "wlc")
    balancer.ipvsadm("-a", "-t", where, "-r", f"{ONE}:{port}", "-m")
    return [f"-A -t {where} -s wlc", f"-a -t {where} -r {ONE}:{port} -m -w 1"]


def ours(balancer, others):
    """The kernel's rules that are not among *others*."""
    return [rule for rule in balancer.rules() if rule not in others]


def test_a_refused_apply_leaves_table_addresses_and_connections_as_they_were(bench, balancer, vip):
    balancer.write(config(service(vip, ONE, server(TWO, weight=2), scheduler="wrr")))
    run(balancer, "apply")
    others = foreign(balancer)
    before = (balancer.ipvsadm("-Sn"), balancer.addresses())
    with Conversation(bench.outsider, vip) as talk:
        changed = service(vip, server(TWO, weight=9), scheduler="rr", ports=[80, 443])
        impossible = service(new_vip(), ONE, BROADCAST, TWO)
        balancer.write(config(changed, impossible, service(new_vip(), ONE)))
        result = run(balancer, "apply", exit_code=4)
        assert f"{BROADCAST}:80" in result.stderr
        assert "nothing was changed" in result.stderr
        assert (balancer.ipvsadm("-Sn"), balancer.addresses()) == before
        assert talk.ask() == talk.server
    run(balancer, "plan", exit_code=3)
    owners = status(balancer)
    assert [key for key, owner in owners.items() if owner == "foreign"] == [
        others[0].split()[2].join(("tcp/", ""))
    ]


def status(balancer):
    """Who each service of the kernel belongs to."""
    shown = json.loads(run(balancer, "status", "--output", "json").stdout)
    return {entry["service"]: entry["owner"] for entry in shown["services"]}


def test_foreign_services_stay_until_prune(balancer, vip):
    others = foreign(balancer)
    balancer.write(config(service(vip, ONE)))
    run(balancer, "apply")
    assert [rule for rule in balancer.rules() if rule in others] == others
    assert status(balancer) == {f"tcp/{vip}:80": "ours", "tcp/198.51.100.7:8080": "foreign"}
    run(balancer, "plan", exit_code=0)
    run(balancer, "plan", "--prune", exit_code=3)
    run(balancer, "apply", "--prune")
    assert status(balancer) == {f"tcp/{vip}:80": "ours"}


def test_an_empty_config_removes_exactly_what_is_ours(balancer, vip):
    addresses = balancer.addresses()
    others = foreign(balancer)
    balancer.write(config(service(vip, ONE, TWO, ports=[80, 443]), service(new_vip_6(), ONE_6)))
    run(balancer, "apply")
    assert balancer.addresses() - addresses != set()
    balancer.write(EMPTY)
    run(balancer, "apply")
    assert (balancer.rules(), balancer.addresses()) == (others, addresses)
    run(balancer, "plan", exit_code=0)


def test_rollback_returns_to_the_generation_before(balancer, vip):
    addresses = []
    for text in (config(service(vip, ONE)), config(service(vip, TWO), service(new_vip(), ONE))):
        balancer.write(text)
        run(balancer, "apply")
        addresses.append((balancer.rules(), balancer.addresses()))
    run(balancer, "rollback")
    assert (balancer.rules(), balancer.addresses()) == addresses[0]
    run(balancer, "rollback")
    assert (sorted(balancer.rules()), balancer.addresses()) == (
        sorted(addresses[1][0]),
        addresses[1][1],
    )


def test_dry_run_exits_as_plan_does_and_changes_nothing(balancer, vip):
    balancer.write(config(service(vip, ONE)))
    result = run(balancer, "apply", "--dry-run", exit_code=3)
    assert vip in result.stdout
    assert balancer.rules() == []
    run(balancer, "apply")
    run(balancer, "apply", "--dry-run", exit_code=0)


def big(vip, *more):
    """A change that keeps the kernel busy for a while: 5,000 servers, and all of the old table goes."""
    pool = {"many": {"servers": [{"address": f"10.9.0.{n}"} for n in range(1, 26)]}}
    crowd = service(vip, ports=["10000-10199"])
    crowd = {key: value for key, value in crowd.items() if key != "servers"} | {"pool": "many"}
    return config(crowd, *more, pools=pool)


def start_apply(balancer, log):
    """`ipvs-lb apply` in a process of its own, while it is changing the kernel."""
    rows = balancer.host.call(rows_of_table)
    program = balancer.host.start(balancer.process("apply"), log=log)
    deadline = time.monotonic() + 40
    while balancer.host.call(rows_of_table) <= rows:
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.005)
    return program


def rows_of_table():
    with Path("/proc/thread-self/net/ip_vs").open() as table:
        return len(table.read(65536).splitlines())


@pytest.fixture
def old(balancer, vip):
    """A table of ours and somebody else's, and the rules and addresses that come of it."""
    foreign(balancer)
    balancer.write(config(service(vip, ONE, TWO, scheduler="wlc"), service(new_vip_6(), ONE_6)))
    run(balancer, "apply")
    return sorted(balancer.rules()), balancer.addresses()


@pytest.fixture
def talk(bench, vip, old):
    """A connection through the old table."""
    with Conversation(bench.outsider, vip) as talk:
        yield talk


@pytest.mark.parametrize(
    ("number", "times"),
    [
        pytest.param(signal.SIGINT, 1, id="SIGINT"),
        pytest.param(signal.SIGTERM, 1, id="SIGTERM"),
        pytest.param(signal.SIGINT, 3, id="impatient"),
    ],
)
def test_an_interrupted_apply_leaves_table_and_connections(balancer, old, talk, number, times):
    text, log = balancer.config_path.read_text(), balancer.state_dir.with_name("log")
    balancer.write(big(new_vip()))
    program = start_apply(balancer, log)
    for _ in range(times):
        program.send_signal(number)
        time.sleep(0.1)  # while what was done is being taken back
    exit_code = program.wait(60)
    assert (sorted(balancer.rules()), balancer.addresses()) == old
    assert talk.ask() == talk.server
    if times == 1:  # a late one of several signals meets a program that is ending already
        assert exit_code == 130, log.read_text()[-2000:]
        assert "Traceback" not in log.read_text()
    balancer.write(text)
    run(balancer, "plan", exit_code=0)


def test_after_kill_9_nothing_of_ours_is_foreign_and_apply_ends_as_wanted(
    balancer, vip, old, tmp_path
):
    wanted = config(service(vip, TWO), service(new_vip(), ONE))
    balancer.write(big(new_vip(), service(vip, TWO)))
    program = start_apply(balancer, tmp_path / "log")
    program.kill()
    program.wait(10)
    owners = status(balancer)
    assert len(owners) > 3
    assert [key for key, owner in owners.items() if owner == "foreign"] == ["tcp/198.51.100.7:8080"]
    balancer.write(wanted)
    run(balancer, "apply", "--wait", "0")
    assert len(ours(balancer, [])) == 2 + 2 + 2
    run(balancer, "plan", exit_code=0)


def test_a_second_apply_waits_or_says_who_is_first(balancer, vip, tmp_path):
    balancer.write(config(service(vip, ONE)))
    log = tmp_path / "second.log"
    with locked(balancer.state_dir):
        refused = run(balancer, "apply", "--wait", "0", exit_code=1)
        assert "in use by process" in refused.stderr
        second = balancer.host.start(balancer.process("apply", "--wait", "60"), log=log)
        wait_for_text(log, "waiting for process", second)
        assert balancer.rules() == []
    assert second.wait(30) == 0, log.read_text()
    assert len(balancer.rules()) == 2


def wait_for_text(log, text, program):
    deadline = time.monotonic() + 30
    while text not in log.read_text():
        assert program.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def everything(vip, vip_6):
    """One service of every kind."""
    return config(
        service(vip, ONE, server(TWO, port=8080, weight=7, upper_threshold=9, lower_threshold=3)),
        service(vip, ONE, protocol="udp", port=53, forwarding="dr", one_packet=True, name="dns"),
        service(
            vip, ONE, protocol="sctp", port=9000, scheduler="mh", flags=["mh-port"], name="sctp"
        ),
        service(
            vip,
            server(
                ONE, forwarding="tunnel", tunnel={"type": "gue", "port": 6080, "checksum": "csum"}
            ),
            server(TWO, forwarding="tunnel", tunnel={"type": "gre"}),
            port=81,
            name="tunnels",
        ),
        service(
            vip, ONE, port=0, persistence={"timeout": "90s", "netmask": "255.255.255.0"}, name="all"
        ),
        service(vip_6, ONE_6, server(TWO_6, weight=0), scheduler="sh", flags=["sh-fallback"]),
        service(vip_6, ONE_6, port=443, persistence={"timeout": "60s", "prefix": 64}, name="six"),
        service(vip, ONE, fwmark=7, name="marked"),
        {"name": "marked-6", "fwmark": 8, "family": "ipv6", "servers": [{"address": ONE_6}]},
        {"name": "empty", "vip": {"address": vip, "announce": False}, "port": 99, "servers": []},
        timeouts={"tcp": "800s", "tcp_fin": "100s", "udp": "200s"},
    )


@pytest.fixture
def all_kinds(balancer, vip):
    balancer.write(everything(vip, new_vip_6()))
    run(balancer, "apply")
    foreign(balancer)


def test_applying_what_export_wrote_changes_nothing(all_kinds, balancer, tmp_path):
    before = (balancer.rules(), balancer.addresses())
    balancer.write(run(balancer, "export", "--format", "yaml").stdout)
    result = run(balancer, "plan", "--output", "json")
    assert json.loads(result.stdout)["steps"] == []
    run(balancer, "apply")
    assert (balancer.rules(), balancer.addresses()) == before
    elsewhere = Balancer(balancer.host, tmp_path / "elsewhere")
    elsewhere.state_dir.parent.mkdir()
    elsewhere.write(balancer.config_path.read_text())
    run(elsewhere, "plan", exit_code=0)


def test_export_for_ipvsadm_is_what_ipvsadm_saves(all_kinds, balancer):
    exported = run(balancer, "export", "--format", "ipvsadm").stdout
    assert sorted(exported.splitlines()) == sorted(balancer.rules())


def test_ipvsadm_restores_what_was_exported(all_kinds, balancer, tmp_path):
    before = sorted(balancer.rules())
    rules = tmp_path / "rules"
    run(balancer, "export", "--format", "ipvsadm", "--output", str(rules))
    balancer.ipvsadm("-C")
    balancer.host.run(["sh", "-c", f"ipvsadm -R < {rules}"])
    assert sorted(balancer.rules()) == before


@pytest.mark.parametrize(
    ("arguments", "text", "exit_code", "says"),
    [
        (["validate"], config(service("10.0.0.99", ONE)), 0, ""),
        (["validate"], "version: 1\nservices: [{name: a}]\n", 2, "lb.yaml:2:"),
        (["apply"], "version: 1\nsevices: []\n", 2, "did you mean"),
        (["apply", "--no-such-option"], EMPTY, 2, "no such option"),
        (["apply", "--config", "/no/such/file"], EMPTY, 2, "/no/such/file"),
        (["rollback"], EMPTY, 2, "no generation"),
        (["rollback", "77"], EMPTY, 2, "77"),
        (["status"], EMPTY, 0, ""),
        (["plan"], EMPTY, 0, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_exit_codes(balancer, arguments, text, exit_code, says):
    balancer.write(text)
    result = run(balancer, *arguments, exit_code=exit_code)
    assert says.lower() in result.output.lower()
    assert balancer.rules() == []


def test_the_program_in_a_process_of_its_own_exits_with_its_code(balancer, vip):
    balancer.write(config(service(vip, ONE)))
    planned = balancer.host.run(balancer.process("plan"), check=False)
    assert (planned.returncode, vip in planned.stdout) == (3, True)


def test_the_python_interface_does_what_the_commands_do(balancer, vip):
    text = config(service(vip, ONE))
    assert not balancer.plan(text).is_empty
    balancer.apply(text)
    assert balancer.plan(text).is_empty
    balancer.write(text)
    run(balancer, "plan", exit_code=0)
