"""The commands that talk to the daemon, against the real server of its API."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import click
import pytest

from ipvs_lb import __version__
from ipvs_lb.api.states import State
from ipvs_lb.cli.control_options import Duration
from ipvs_lb.cli.status import STATES
from ipvs_lb.errors import ConfigError, KernelError
from ipvs_lb.events import Level
from ipvs_lb.model.counters import ServerCounters
from tests.cli.conftest import Box
from tests.fake_control import START, FakeControl
from tests.running_api import Running


@pytest.fixture
def control() -> FakeControl:
    made = FakeControl().everything_up()
    made.wait(30)
    made.fail("10.0.0.6")
    made.wait(185)
    return made


@pytest.fixture
def running(box: Box, control: FakeControl) -> Iterator[Running]:
    with Running(control, box.socket).up() as server:
        yield server


def output(box, *arguments, code=0):
    result = box.run(*arguments)
    assert (result.exit_code, result.exception and result.exit_code) == (code, code or None)
    return result.stdout


def test_the_status_for_a_person(running, box, golden):
    golden("daemon_status.txt", output(box, "status").replace(__version__, "VERSION"))


def test_the_status_for_a_program(running, box, golden):
    """keepalived #2001 #1579"""
    text = output(box, "status", "--output", "json")
    golden("daemon_status.json", text.replace(f'"{__version__}"', '"VERSION"'))


def test_the_status_fits_80_columns_but_for_reasons(running, box):
    lines = output(box, "status").splitlines()
    assert max(len(line) for line in lines if not line.startswith("      ")) <= 80


def test_the_status_is_filtered(running, box):
    told = output(box, "status", "--state", "down")
    assert ("10.0.0.6:80" in told, "10.0.0.4" in told, "mx-1" in told) == (True, False, False)
    told = output(box, "status", "mail/*", "--service", "mail")
    assert ("mx-1" in told, "server-1" in told) == (True, False)


def test_the_states_to_filter_by_are_those_there_are():
    assert set(STATES) == {str(state) for state in State}


def test_what_the_kernel_has_otherwise_is_told(running, box, control):
    table = control.decision.table
    key = next(iter(table.services))
    virtual = table.services[key]
    other = {name: replace(server, weight=9) for name, server in virtual.servers.items()}
    running.do(
        lambda c: setattr(
            c, "foreign", replace(table, services={key: replace(virtual, servers=other)})
        )
    )
    assert "weight 1 wanted, 9 in the kernel" in output(box, "status")
    assert "kernel: weight 1 wanted, 9 in the kernel" in output(box, "explain", "10.0.0.4:80")


def test_without_its_kernel_the_daemon_says_so(running, box, control):
    control.broken["kernel"] = KernelError("ip_vs is not loaded")
    assert "kernel: ip_vs is not loaded" in output(box, "status")


def test_without_a_daemon_the_kernel_is_shown_and_that_is_said(box):
    told = output(box, "status")
    assert told.endswith("no daemon runs here: this is the kernel's table, without health\n")
    assert json.loads(output(box, "status", "--output", "json"))["source"] == "kernel"


def test_without_a_daemon_nothing_can_be_chosen(box):
    result = box.run("status", "--state", "down")
    assert result.exit_code == 1
    assert "no ipvs-lb daemon listens on" in result.stderr


WITHOUT = [
    ("explain", "web/server-1"),
    ("drain", "web/server-1"),
    ("enable", "web/server-1"),
    ("disable", "web/server-1"),
    ("weight", "web/server-1", "5"),
    ("check", "web/server-1"),
    ("events",),
    ("events", "--follow"),
    ("reload",),
    ("announce",),
]


@pytest.mark.parametrize("command", WITHOUT, ids=" ".join)
def test_without_a_daemon_a_command_says_how_to_start_one(box, command):
    result = box.run(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "hint: start it with `systemctl start ipvs-lb`" in result.stderr
    error = json.loads(box.run(*command, "--output", "json").stderr)["error"]
    assert error["kind"] == "AbsentError"


def test_why_a_server_is_out_is_told(running, box, golden):
    golden("explain.txt", output(box, "explain", "10.0.0.6:80"))


def test_why_is_told_to_a_program(running, box):
    told = json.loads(output(box, "explain", "mx-1", "web/server-2", "--output", "json"))
    assert [one["server"]["name"] for one in told["servers"]] == ["mx-1", "server-2", "server-2"]


def test_a_drain_is_told_with_what_is_left(running, box):
    told = output(box, "drain", "10.0.0.4:80", "--for", "30m", "--reason", "new kernel")
    assert told == (
        "web/server-1 (tcp/10.0.0.16:80) is draining, weight 0:"
        f" told to drain by {USER} 0 s ago: new kernel; 12 connections left\n"
    )
    (override,) = running.control.overrides.values()
    assert override.expires == control_time() + 1800


def control_time():
    return START + 215


USER = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def test_several_servers_are_ordered_at_once_with_wildcards(running, box):
    told = output(box, "disable", "server-*", "mx-1", "--service", "web", "--service", "mail")
    assert len(told.splitlines()) == 5
    assert {one.action for one in running.control.overrides.values()} == {"down"}


def test_an_order_to_unknown_servers_changes_nothing_and_suggests(running, box):
    result = box.run("drain", "web/server-1", "web/srver-2", "nobody")
    assert (result.exit_code, result.stdout, running.control.overrides) == (2, "", {})
    assert "web/srver-2: no such server, did you mean web/server-2" in result.stderr
    assert "nobody: no such server" in result.stderr
    assert "hint: `ipvs-lb status` lists what there is" in result.stderr


def test_servers_that_cannot_follow_are_told(running, box):
    result = box.run("drain", "mail/*")
    assert result.exit_code == 0
    assert "mx-2 of tcp/[2001:db8::25]:25: it is disabled in the configuration" in result.stderr
    refused = box.run("drain", "mx-2")
    assert refused.exit_code == 2
    assert "it is disabled in the configuration" in refused.stderr


def test_enable_takes_the_order_back(running, box):
    box.run("disable", "web/*")
    told = output(box, "enable", "10.0.0.4:*")
    assert told.splitlines()[0] == "web/server-1 (tcp/10.0.0.16:80) is up, weight 1"
    assert len(running.control.overrides) == 2


def test_enable_by_force_lets_a_failing_server_serve(running, box):
    told = output(box, "enable", "10.0.0.6:80", "--force", "--for", "1h")
    assert told.startswith("web/server-2 (tcp/10.0.0.16:80) is up, weight 5: kept in whatever")


def test_enable_without_force_takes_no_time(running, box):
    assert box.run("enable", "web/server-1", "--for", "1h").exit_code == 2


def test_a_weight_is_set_on_several(running, box):
    told = output(box, "weight", "10.0.0.4:80", "mx-1", "50")
    assert [line.split(":")[-3:][0][-9:] for line in told.splitlines()]
    assert [one.weight for one in running.control.overrides.values()] == [50, 50]


@pytest.mark.parametrize("arguments", [("w/x", "65536"), ("w/x", "-1"), ("w/x", "many"), ("5",)])
def test_a_weight_is_a_number_that_the_kernel_takes(box, arguments):
    assert box.run("weight", *arguments).exit_code == 2


@pytest.mark.parametrize("command", ["drain", "enable", "disable", "explain", "check"])
def test_a_command_for_servers_names_at_least_one(box, command):
    assert box.run(command).exit_code == 2


def test_an_order_is_told_to_a_program(running, box):
    told = json.loads(output(box, "drain", "mx-1", "--output", "json"))
    assert (told["schema"], told["servers"][0]["state"]) == ("ipvs_lb/order/1", "draining")


def leave(running):
    """Connections end, one after the other."""
    for left in (4, 1, 0):
        time.sleep(0.7)

        def happen(control, left=left):
            control.counters = ServerCounters(active=left)
            control.wait(1)

        running.do(happen)


def test_a_drain_is_waited_for_and_its_progress_shown(running, box):
    leaving = threading.Thread(target=leave, args=(running,))
    leaving.start()
    told = output(box, "drain", "10.0.0.4:80", "--wait")
    leaving.join()
    left = [match[1] for match in re.finditer(r"(\d+) connections? left", told)]
    assert left[0] == "12"
    assert told.splitlines()[-1].endswith("the drain is over")


def test_what_is_in_force_at_once_is_not_waited_for(running, box):
    told = json.loads(output(box, "disable", "mx-1", "--wait", "--output", "json"))
    assert told["servers"][0]["state"] == "down"


def test_a_check_shows_each_phase(running, box):
    told = output(box, "check", "10.0.0.4:80", "mx-2")
    assert told == (
        "http check of 10.0.0.4:80 (web/server-1): passed,"
        " connected after 0.4 ms, first byte after 1.2 ms, done after 1.3 ms\n"
    )


def test_a_check_that_fails_exits_with_1(running, box, control):
    control.failing.add("10.0.0.6")
    told = output(box, "check", "web/*", code=1)
    assert "failed: status (500 Internal Server Error), connected after 0.4 ms" in told
    assert json.loads(output(box, "check", "web/*", "-o", "json", code=1))["passed"] is False


def test_events_are_listed(running, box):
    running.do(lambda c: c.tell("server.down", Level.WARNING, server="s 1", reason=""))
    running.do(lambda c: c.tell("server.up", server="s1"))
    first, second = output(box, "events").splitlines()
    assert re.search(r"^2023-11-1\dT[\d:.+-]+ 1 warning server.down server='s 1' reason=''$", first)
    assert second.endswith(" 2 server.up server=s1")
    assert (
        json.loads(output(box, "events", "--after", "1", "-o", "json"))["events"][0]["number"] == 2
    )


def test_events_are_followed_until_the_daemon_ends(box, control):
    with Running(control, box.socket).up() as running:
        running.do(lambda c: c.tell("server.down", server="s1"))
        follower = subprocess.Popen(
            [sys.executable, "-m", "ipvs_lb", "events", "-f", "-o", "json", "--socket", box.socket],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["name"] == "server.down"
        running.do(lambda c: c.tell("server.up", server="s1"))
        assert json.loads(follower.stdout.readline())["name"] == "server.up"
    assert follower.communicate(timeout=10)[0] == ""
    assert follower.returncode == 0


def test_a_reload_tells_what_there_is_now(running, box):
    assert output(box, "reload") == "Reloaded: 3 services, 6 servers.\n"
    assert json.loads(output(box, "reload", "-o", "json"))["server_count"] == 6


def test_a_refused_reload_names_every_problem(running, box, control):
    control.broken["reload"] = ConfigError(["lb.yaml:3:1: what", "lb.yaml:4:1: why"])
    result = box.run("reload")
    assert result.exit_code == 2
    assert result.stderr == "lb.yaml:3:1: what\nlb.yaml:4:1: why\n"


def test_vips_are_announced_again(running, box):
    assert output(box, "announce") == "Announced: 3 services, 6 servers.\n"


def test_what_the_kernel_refuses_exits_with_4(running, box, control):
    control.broken["order"] = KernelError("no ip_vs", hint="modprobe ip_vs")
    result = box.run("drain", "mx-1")
    assert (result.exit_code, result.stderr) == (4, "error: no ip_vs\nhint: modprobe ip_vs\n")


def test_health_has_exit_codes_for_monitoring(running, box, control):
    assert output(box, "health", code=1).startswith("degraded\n  web (tcp/10.0.0.16:80) has 1 of 2")
    running.do(lambda c: c.fail("10.0.0.4"))
    assert output(box, "health", code=2).startswith("failing\n")
    assert json.loads(output(box, "health", "-o", "json", code=2))["status"] == "failing"
    running.do(FakeControl.everything_up)
    running.do(FakeControl.everything_up)
    assert output(box, "health") == "fine\n"


def test_health_without_a_daemon_is_unknown(box):
    assert output(box, "health", code=3).startswith("unknown\n  no ipvs-lb daemon listens on")
    assert json.loads(output(box, "health", "-o", "json", code=3))["status"] == "unknown"


def test_the_socket_is_named_by_an_option_too(running, box):
    result = box.run("health", "--socket", str(box.socket), IPVS_LB_SOCKET="/nowhere")
    assert result.exit_code == 1


def complete(socket, words):
    done = subprocess.run(
        [sys.executable, "-c", "from ipvs_lb.cli import main; main()"],
        env={
            "_IPVS_LB_COMPLETE": "bash_complete",
            "COMP_WORDS": f"ipvs-lb {words}",
            "COMP_CWORD": str(len(words.split())),
            "IPVS_LB_SOCKET": str(socket),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stderr == ""
    return [line.split(",")[1] for line in done.stdout.splitlines() if line]


def test_names_are_completed(running, box):
    assert complete(box.socket, "drain web/s") == ["web/server-1", "web/server-2"]
    assert complete(box.socket, "status --service ma") == ["mail"]


def test_without_a_daemon_nothing_is_completed(box):
    assert complete(box.socket, "drain web/s") == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1s", 90061)],
)
def test_a_duration_is_read(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "m", "-5", "1.5h", "5 minutes", "30m1h", "٣"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter, match="is not a duration, expected"):
        Duration().convert(text, None, None)


def test_the_status_is_shown_again_and_again(running, box):
    watching = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ipvs_lb",
            "status",
            "--watch",
            "0.1",
            "-o",
            "json",
            "--socket",
            box.socket,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    pictures = [json.loads(watching.stdout.readline()) for _ in range(3)]
    watching.terminate()
    watching.communicate(timeout=10)
    assert {one["schema"] for one in pictures} == {"ipvs_lb/status/1"}
