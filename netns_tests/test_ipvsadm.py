"""ipvsadm and ours beside it on one kernel: the same words bring the same table, output, complaints and exit status."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ipvs_lb.cli.ipvsadm.program import run
from ipvs_lb.commands import Flush
from ipvs_lb.ipvsadm.rules import Rule, read_rules
from ipvs_lb.ipvsadm.save import render
from ipvs_lb.lab.hosts import Host
from ipvs_lb.netlink import NetlinkKernel, open_kernel
from netns_tests.balance import (
    ONE,
    SERVERS,
    Bench,
    Conversation,
    answered,
    hold_vip,
    new_vip,
)
from netns_tests.daemon import eventually

on_the_kernel = settings(
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Outcome = tuple[int, str, str]


@pytest.fixture
def gateway(bench: Bench) -> Iterator[Host]:
    yield bench.gateway
    bench.gateway.run(["sh", "-c", "ipvsadm -C; ipvsadm --set 900 120 300"])


@pytest.fixture
def kernel(gateway: Host) -> Iterator[NetlinkKernel]:
    with gateway.call(open_kernel) as opened:
        yield opened


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """Ours under the name of the original."""
    path = tmp_path / "ipvsadm"
    path.symlink_to(Path(sys.executable).with_name("ipvs-lb"))
    return path


def original(host: Host, *arguments: str) -> Outcome:
    done = host.run(["ipvsadm", *arguments], check=False)
    return done.returncode, done.stdout, done.stderr


def ours(host: Host, *arguments: str) -> Outcome:
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        status = host.call(run, arguments)
    return status, said.getvalue(), complained.getvalue()


def restored(
    host: Host, program: str | Path, rules: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """What a process says that carries out *rules*."""
    command = f"printf '%s' {shlex.quote(rules)} | {program} -R {shlex.join(options)}"
    return host.run(["sh", "-c", command], check=False)


KNOWN = """\
-A -t 10.0.0.16:80 -s rr
-a -t 10.0.0.16:80 -r 10.0.0.4:80 -m
-A -u [fd00::16]:53 -s mh -b mh-port -p 60 -M 64
-A -f 7 -s wlc
"""


@pytest.mark.parametrize(
    "line",
    [
        "-A -t 10.0.0.16:443",
        "-A -t 10.0.0.16:80",
        "-At10.16:https -swrr -p9 -M255.255.0.0",
        "-A -t 10.0.0.16:81 -s nosuch",
        "-A -u 10.0.0.16:53 --ops --scheduler=sh --sched-flags sh-port,sh-fallback",
        "-A --sctp-service [fd00::17]:http -p -M 64",
        "-A -M 64 -t [fd00::17]:80 -p",
        "-A -f 4294967295 -6 --pe sip -p 60",
        "-A -t fd00::18 -p",
        "-A -t 10.0.0.17 -p",
        "-A -t 10.0.0.17",
        "-E -t 10.0.0.16:80 -s lc -b flag-1,flag-3",
        "-E -t 10.0.0.99:80 -s lc",
        "-E -f 7 -s nosuch",
        "-D -t 10.0.0.16:80",
        "-D -t 10.0.0.16:81",
        "-a -f 7 -r 10.0.0.4:81 -g",
        "-a -f 8 -r 10.0.0.4:81 -g",
        "-a -t 10.0.0.16:80 -r 10.0.0.4",
        "-a -t 10.0.0.16:80 -r 10.0.0.6:81 -w 0 -x 50000 -y 7",
        "-a -t 10.0.0.16:80 -r 10.0.0.6 -m -x 3 -y 9",
        "-a -t 10.0.0.16:80 -r 255.255.255.255",
        "-a -t 10.0.0.16:80 -r [fd00::4]:80 -i --tun-type gue --tun-port 6080 --tun-remcsum",
        "-a -t 10.0.0.16:80 -r 10.0.0.8 -i --tun-type gre --tun-csum",
        "-a -t 10.0.0.16:80 -r 10.0.0.1 -m",
        "-e -t 10.0.0.16:80 -r 10.0.0.4 -m -w 65535",
        "-e -t 10.0.0.16:80 -r 10.0.0.9 -m",
        "-d -t 10.0.0.16:80 -r 10.0.0.4",
        "-d -t 10.0.0.16:80 -r 10.0.0.9",
        "-d -t 10.0.0.99:80 -r 10.0.0.9",
        "-C",
        "-Z",
        "-Z -f 7",
        "-Z -f 9",
        "--set 800 0 200",
        "--set 1 2 2678400",
        "--start-daemon backup --mcast-interface nosuch",
        "",
        "-L",
        "-l",
        "-L -t 10.0.0.16:http",
        "-Lnt 10.0.0.16:80",
        "-Ln -f 7 --stats",
        "-L -t 10.0.0.99:80",
        "-S",
        "-Lq",
        "-L --numeric=yes",
        "-A -t",
        "-A -p",
        "-L -- -n",
        "-L -",
        "-A -t 10.0.0.16:81 --stop-daemon master",
        "-A -t 10.0.0.16:81 -b",
        "--start-daemon",
        "--start-daemon -- master",
        "-a -t 10.0.0.16:80 -r 10.0.0.4 -w -5",
    ],
)
def test_a_command_line_does_and_says_what_it_does_and_says_with_the_original(
    gateway: Host, kernel: NetlinkKernel, line: str
) -> None:
    results = []
    for program in (original, ours):
        kernel.execute(
            [Flush(), *(rule.command for rule in read_rules(KNOWN) if isinstance(rule, Rule))]
        )
        outcome = program(gateway, *line.split())
        results.append((outcome, kernel.read()))
    assert results[1] == results[0]


def test_sync_daemons_are_started_shown_and_stopped_as_by_the_original(gateway: Host) -> None:
    lines = (
        "--start-daemon master --mcast-interface eth0 --syncid 5 --mcast-ttl 2 --mcast-port 9000",
        "--start-daemon master --mcast-interface eth0",
        "--start-daemon backup --mcast-interface eth0 --mcast-group ff02::9 --sync-maxlen 1300",
        "-L --daemon",
        "--stop-daemon master",
        "--stop-daemon master",
        "--stop-daemon backup --syncid 5",
        "-L --daemon",
    )
    assert [ours(gateway, *line.split()) for line in lines] == [
        original(gateway, *line.split()) for line in lines
    ]


WORDS = st.sampled_from(
    ["-A", "-E", "-D", "-a", "-e", "-d", "-L", "-l", "-Z", "-t", "-u", "--sctp-service", "-f", "-6", "-s", "-p", "-M", "-r", "-m", "-i", "-g", "-w", "-x", "-y", "-n", "-c", "-b", "-o", "--pe", "--tun-type", "--tun-port", "--tun-csum", "--tun-nocsum", "--stats", "--rate", "--exact", "-X", "--nosort", "--timeout", "--daemon", "--thresholds", "--weight=3", "-w5", "-Ln", "-nX", "-pM", "10.0.0.16:80", "[fd00::16]:53", "fd00::16", "10.0.0.4", "7", "0", "80", "rr", "sh", "sh-port", "gue", "255.0.0.0", "64", "--", "-", "x"]
)  # fmt: skip


@settings(on_the_kernel, max_examples=25)
@given(arguments=st.lists(WORDS, min_size=1, max_size=7))
def test_random_words_are_refused_for_the_same_reason(
    gateway: Host, kernel: NetlinkKernel, arguments: list[str]
) -> None:
    results = []
    for program in (original, ours):
        kernel.execute([Flush()])
        results.append((program(gateway, *arguments), kernel.read()))
    assert results[1] == results[0]


def test_rules_with_mistakes_leave_the_same_table_and_complaints(
    gateway: Host, kernel: NetlinkKernel, link: Path
) -> None:
    """Refused by the kernel, by popt, with a listing between them; what is after a word that ends it all is not done."""
    rules = f"{KNOWN}-A -t 10.0.0.16:80 -s rr\n-d -t 10.0.0.16:80 -r 10.0.0.4\n\n ipvsadm -Ln\n-L -q\n-A -f 8\n-a -f 9 -r 10.0.0.4"
    seen = []
    for program in ("ipvsadm", link):
        for more in ("", "\n-A -t nonsense\n-A -f 10\n"):
            kernel.execute([Flush()])
            done = restored(gateway, program, rules + more)
            seen.append((done.returncode, done.stdout, done.stderr, kernel.read().services))
    assert seen[2:] == seen[:2]
    assert [status for status, *_ in seen] == [255, 2, 255, 2]


def test_counters_and_connections_of_live_traffic_are_shown_alike(
    bench: Bench, gateway: Host
) -> None:
    vip = new_vip()
    hold_vip(gateway, vip)
    rules = [f"-A -t {vip}:80 -s rr -p 600", *(f"-a -t {vip}:80 -r {one} -m" for one in SERVERS)]
    rules += [f"-A -u {vip}:53 -s rr", f"-a -u {vip}:53 -r {ONE} -m"]
    assert restored(gateway, "ipvsadm", "\n".join(rules)).returncode == 0
    with Conversation(bench.outsider, vip) as talk:
        assert talk.ask() == talk.server
        assert answered(bench.outsider, vip, port=53, protocol="udp") == "server-1"
        for arguments in (["-Ln"], ["-Ln", "--stats"], ["-Ln", "--persistent-conn"], ["-L"]):
            # The kernel sums its counters every two seconds.
            eventually(partial(same_traffic, gateway, arguments), 20, " ".join(arguments))
        for arguments in (["-Lcn"], ["-Lc"], ["-Lcn", "--persistent-conn"]):
            before = connections(original(gateway, *arguments))
            now = connections(ours(gateway, *arguments))
            after = connections(original(gateway, *arguments))
            assert now.keys() == before.keys() == after.keys()
            assert all(before[row] >= now[row] >= after[row] for row in now)
            assert len(now) == 2 + 3


def same_traffic(host: Host, arguments: list[str]) -> bool:
    """Whether both show the same, and a connection among it."""
    mine = ours(host, *arguments)
    return mine == original(host, *arguments) and re.search(" 1 ", mine[1]) is not None


def connections(listed: Outcome) -> dict[tuple[str, str], str]:
    """The rows of a list of connections, each without and with how long it lives on: that is one second less soon."""
    status, text, complaints = listed
    assert (status, complaints) == (0, "")
    return {(row[:4], row[9:]): row[4:9] for row in text.splitlines()}


LDIRECTORD = """\
checktimeout = 10
checkinterval = 10
quiescent = no
virtual = {vip}:80
    real = {one}:80 masq 2
    service = http
    checktype = connect
    scheduler = wrr
    persistent = 300
    protocol = tcp
"""
SCRIPT = """\
set -eu
mount --bind "$1" "$(readlink -f /usr/sbin/ipvsadm)"
ipvsadm --version | grep -q ipvs_lb
ipvsadm-save -n > "$2/rules"
ipvsadm -C
[ -z "$(ipvsadm -Sn)" ]
ipvsadm-restore < "$2/rules"
exec ldirectord -d "$2/ldirectord.cf" start
"""


def test_ldirectord_and_the_scripts_of_debian_run_on_it_unchanged(
    bench: Bench, gateway: Host, kernel: NetlinkKernel, tmp_path: Path
) -> None:
    """They know where ipvsadm is: ours is laid over it, in a mount namespace of their own."""
    vip = new_vip()
    hold_vip(gateway, vip)
    (tmp_path / "ldirectord.cf").write_text(LDIRECTORD.format(vip=vip, one=ONE))
    assert restored(gateway, "ipvsadm", KNOWN).returncode == 0
    before = kernel.read().services
    program = str(Path(sys.executable).with_name("ipvs-lb"))
    log = tmp_path / "log"
    words = ["unshare", "-m", "sh", "-c", SCRIPT, "sh", program, str(tmp_path)]
    ldirectord = gateway.start(words, log=log)
    wanted = {f"-A -t {vip}:80 -s wrr -p 300", f"-a -t {vip}:80 -r {ONE}:80 -m -w 2"}

    def is_served() -> bool:
        assert ldirectord.poll() is None, log.read_text()
        return wanted <= set(render(kernel.read()).splitlines())

    eventually(is_served, 120, "ldirectord has made its service")
    assert before.items() <= kernel.read().services.items()
    assert answered(bench.outsider, vip) == "server-1"
