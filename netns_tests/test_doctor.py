"""`ipvs-lb doctor` on a gateway with a fault: it is found, what it names as the mend is done, and it is gone.

Commands that it names are typed as they stand. Where it names something else to do, the test does that.
"""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.packages import find_program
from ipvs_lb.lab.servers import Echo
from netns_tests.balance import (
    NEIGHBOUR,
    ONE,
    OUTSIDER,
    THREE,
    TWO,
    Balancer,
    config,
    new_vip,
    server,
    service,
)
from netns_tests.daemon import HTTP, SLACK, Running, eventually, running
from netns_tests.launcher import Launcher

ALWAYS = frozenset({"clock.unsynchronised"})
"""What this machine has whatever a test does."""
WIDE = "203.0.113.77"
"""A VIP outside of the servers' subnet."""
EXPIRING = "net.ipv4.vs.expire_quiescent_template"
CHECKED = {"health_check": {"type": "tcp", "interval": "10s"}}


def findings(balancer: Balancer, *options: str) -> dict[str, str]:
    """What is found, each with how it is mended."""
    return {code: mend for code, mend in everything(balancer, *options) if code not in ALWAYS}


def everything(balancer: Balancer, *options: str) -> list[tuple[str, str]]:
    done = balancer.command("doctor", "--output", "json", *options)
    assert done.stdout, done.output
    return told(done.exit_code, done.stdout)


def told(status: int, output: str) -> list[tuple[str, str]]:
    """The findings in the output for programs, each with its mend; the exit status is by the worst of them."""
    found = json.loads(output)["findings"]
    worst = {"note": 0, "warning": 6, "error": 7}
    assert status == max((worst[one["severity"]] for one in found), default=0)
    assert all(one["what"] and one["effect"] and one["documented"] for one in found)
    return [(one["code"], one["mend"]) for one in found]


OWN_REQUESTS, BESIDE = "gateway.own_requests", "masq.clients_beside_servers"


def mend(balancer: Balancer, command: str, host: Host | None = None) -> None:
    """Type *command*; one of ipvs-lb runs in this process."""
    words = shlex.split(command)
    if words[0] == "ipvs-lb":
        assert balancer.command(*words[1:]).exit_code == 0
    else:
        (host or balancer.host).run(words)


def declare(balancer: Balancer, *services: dict[str, object]) -> None:
    text = config(*services)
    balancer.write(text)
    balancer.apply(text)


def masq(vip: str, *servers: str | Mapping[str, Any], **settings: Any) -> dict[str, object]:
    return service(vip, *(servers or (ONE, TWO)), **settings)


@pytest.fixture
def healthy(balancer):
    declare(balancer, masq(WIDE))
    assert findings(balancer) == {}
    return balancer


@pytest.mark.parametrize(
    ("code", "break_it"),
    [
        ("forwarding.off", "sysctl -w net.ipv4.ip_forward=0"),
        ("vip.link_down", "ip link set eth0 down"),
        ("service.not_in_kernel", "ipvsadm -C"),
    ],
    ids=["forwarding", "link", "flushed"],
)
def test_a_fault_is_found_and_gone_after_the_command_that_is_named(healthy, code, break_it):
    healthy.host.run(shlex.split(break_it))
    mend(healthy, findings(healthy)[code])
    assert findings(healthy) == {}


def test_a_sysctl_that_persistence_needs_is_found_and_set(balancer):
    balancer.host.sysctl("net.ipv4.vs.expire_quiescent_template", 0)
    declare(balancer, masq(WIDE, persistence="60s"))
    found = findings(balancer)
    assert set(found) == {"sysctl.missing"}
    mend(balancer, found["sysctl.missing"])
    assert findings(balancer) == {}
    balancer.host.sysctl("net.ipv4.vs.expire_quiescent_template", 0)


def test_redirects_on_a_shared_link_are_found_and_stopped(balancer):
    balancer.host.sysctl("net.ipv4.conf.eth1.send_redirects", 1)
    vip = new_vip()
    declare(balancer, masq(vip, name="web"))
    found = findings(balancer)
    assert set(found) == {"redirects.sent", BESIDE}
    mend(balancer, found["redirects.sent"])
    found = findings(balancer)
    assert set(found) == {BESIDE}
    assert found[BESIDE].endswith("source_nat: auto for web")
    balancer.write(config(masq(vip, name="web", source_nat="auto")))
    assert BESIDE not in findings(balancer)


def test_a_tunnel_without_room_for_full_packets_is_found_and_gets_it(balancer):
    declare(balancer, masq(WIDE, server(ONE, forwarding="tunnel")))
    found = findings(balancer)
    assert set(found) == {"tunnel.mtu", OWN_REQUESTS}
    mend(balancer, found["tunnel.mtu"])
    assert set(findings(balancer)) == {OWN_REQUESTS}
    declare(balancer, masq(WIDE))
    assert findings(balancer) == {}
    balancer.host.run(shlex.split("ip link set dev eth1 mtu 1500"))


def test_servers_that_are_out_of_reach_are_found_until_they_are_in_reach(balancer):
    gateway = balancer.host
    gateway.run(shlex.split(f"ip route add 198.51.100.0/25 via {NEIGHBOUR}"))
    far, routed = server("192.0.2.9"), server("198.51.100.9", forwarding="dr")
    declare(balancer, masq(WIDE, ONE, far, routed, server("10.0.0.1")))
    found = findings(balancer)
    assert set(found) == {"server.unreachable", "dr.routed", "server.local", OWN_REQUESTS}
    assert gateway.run(shlex.split(found["server.unreachable"]), check=False).returncode != 0
    gateway.run(shlex.split(f"ip route add 192.0.2.9 via {NEIGHBOUR}"))
    assert found["dr.routed"].endswith("forwarding: tunnel, or masq, for 198.51.100.9")
    declare(balancer, masq(WIDE, ONE, far, server("198.51.100.9")))
    assert set(findings(balancer)) == {"masq.routed"}
    assert findings(balancer)["masq.routed"].startswith(f"on {NEIGHBOUR}: route the clients'")
    gateway.run(shlex.split("ip route del 192.0.2.9"))
    gateway.run(shlex.split("ip route del 198.51.100.0/25"))
    gateway.run(shlex.split("ip route add 192.0.2.9 dev eth1"))
    gateway.run(shlex.split("ip route add 198.51.100.9 dev eth1"))
    assert findings(balancer) == {}
    for address in ("192.0.2.9", "198.51.100.9"):
        gateway.run(["ip", "route", "del", address])


def test_a_port_of_the_gateway_itself_is_found_on_a_vip_until_it_is_guarded(balancer, bench):
    """kubernetes #72236 #108460"""
    declare(balancer, masq(WIDE))
    listening = Echo(bench.gateway, "tcp", 2222, WIDE)
    found = findings(balancer)
    balancer.write(config(masq(WIDE), guard_vips=True))
    guarded = findings(balancer)
    listening.close()
    assert found == {"vip.exposed": f"in {balancer.config_path}: guard_vips: yes"}
    assert guarded == {}


def test_who_else_has_a_vip_is_found_when_the_link_may_be_asked(balancer, bench):
    vip = new_vip()
    one, three = bench.servers[0], bench.servers[2]
    text = config(service(vip, server(ONE, forwarding="dr"), server(TWO, forwarding="dr")))
    balancer.write(text)
    balancer.apply(text)
    assert set(findings(balancer, "--probe")) == {OWN_REQUESTS}
    one.address("lo", f"{vip}/32")
    found = findings(balancer, "--probe")
    assert set(found) == {"dr.answers_arp", OWN_REQUESTS}
    assert set(findings(balancer)) == {OWN_REQUESTS}
    mend(balancer, found["dr.answers_arp"].removeprefix("on the server: "), one)
    assert set(findings(balancer, "--probe")) == {OWN_REQUESTS}
    assert THREE not in text
    three.address("lo", f"{vip}/32")
    found = findings(balancer, "--probe")
    assert set(found) == {"vip.duplicate", OWN_REQUESTS}
    named = balancer.host.run(["sh", "-c", found["vip.duplicate"]]).stdout
    assert "lladdr" in named
    three.run(shlex.split(f"ip address del {vip}/32 dev lo"))
    balancer.host.run(["ip", "neigh", "flush", "all"])
    assert set(findings(balancer, "--probe")) == {OWN_REQUESTS}


def test_others_in_the_table_a_damaged_state_and_open_permissions_are_found(healthy):
    healthy.ipvsadm("-A", "-t", "203.0.113.99:80", "-s", "rr")
    assert set(findings(healthy)) == {"service.foreign"}
    mend(healthy, findings(healthy)["service.foreign"])
    healthy.state_dir.chmod(0o777)
    mend(healthy, findings(healthy)["state.writable"])
    assert findings(healthy) == {}
    (healthy.state_dir / "state.db").write_text("no database, but a letter")
    mend(healthy, findings(healthy)["state.damaged"])
    assert "state.damaged" not in findings(healthy)


def test_a_service_without_a_server_is_found_and_a_file_that_is_not_there_is_refused(
    balancer, tmp_path
):
    declare(balancer, masq(WIDE, server(ONE, weight=0)))
    found = findings(balancer)
    assert set(found) == {"service.no_server"}
    assert balancer.command(*shlex.split(found["service.no_server"])[1:]).exit_code == 0
    declare(balancer, masq(WIDE, server(ONE, weight=1)))
    assert findings(balancer) == {}
    done = balancer.command("doctor", "-c", str(tmp_path / "none.yaml"))
    assert done.exit_code == 2


def mend_all(balancer: Balancer) -> list[str]:
    """Type what is named until nothing is found any more; the codes of what was."""
    mended: dict[str, str] = {}
    while found := findings(balancer):
        code, command = next(iter(found.items()))
        assert command not in mended, (code, command)
        mend(balancer, command)
        mended[command] = code
    return [*mended.values()]


@contextmanager
def hidden(path: Path, without: str) -> Iterator[None]:
    """The file *path* has no line with *without*, as if that had not been installed."""
    kept = [line for line in path.read_text().splitlines(keepends=True) if without not in line]
    shown = Path("/run") / f"shown-{path.name}"
    shown.write_text("".join(kept))
    run("mount", "--bind", shown, path)
    try:
        yield
    finally:
        run("umount", path)


def run(*words: object) -> None:
    """A program in the machine's own network namespace, to its end."""
    subprocess.run([str(word) for word in words], check=True)


def module_list(name: str = "modules.dep") -> Path:
    return Path("/lib/modules") / os.uname().release / name


def unload(name: str) -> None:
    if Path(f"/sys/module/{name}").exists():
        run("rmmod", name)


@pytest.mark.parametrize(
    ("module", "code", "declared"),
    [
        ("ip_vs_mh", "scheduler.missing", masq(WIDE, scheduler="mh")),
        (
            "ip_vs_pe_sip",
            "persistence_engine.missing",
            masq(
                WIDE,
                protocol="udp",
                ports=[5060],
                persistence={"timeout": "60s", "engine": "sip"},
            ),
        ),
    ],
    ids=["scheduler", "engine"],
)
def test_a_module_that_is_not_installed_is_found_and_loaded_once_it_is(
    balancer, module, code, declared
):
    unload(module)
    balancer.write(config(declared))
    with hidden(module_list(), f"{module}.ko:"):
        assert code in findings(balancer)
        named = findings(balancer)[code]
    assert named == f"modprobe {module}"
    mend(balancer, named)
    assert code not in findings(balancer)
    mend_all(balancer)
    balancer.host.sysctl(EXPIRING, 0)


def test_a_scheduler_that_this_kernel_is_too_old_for_is_found_until_another_is_chosen(balancer):
    balancer.write(config(masq(WIDE, scheduler="twos")))
    found = findings(balancer)
    assert {"kernel.too_old", "scheduler.missing"} <= set(found)
    assert found["kernel.too_old"].startswith("a kernel of 6.6 or later, or another choice")
    balancer.write(config(masq(WIDE, scheduler="wrr")))
    assert mend_all(balancer) == ["service.not_in_kernel"]


def test_an_interface_that_is_not_there_is_found_and_made(balancer):
    balancer.write(config(masq(WIDE) | {"vip": {"address": WIDE, "interface": "vips0"}}))
    assert mend_all(balancer)[0] == "vip.no_interface"
    balancer.host.run(["ip", "link", "del", "vips0"])


def test_ftp_without_its_helper_is_found_and_gets_it(balancer):
    unload("ip_vs_ftp")
    declare(balancer, masq(WIDE, ports=[21]))
    assert mend_all(balancer) == ["ftp_helper.missing"]


def test_another_manager_in_this_network_namespace_is_found_while_it_runs(healthy, tmp_path):
    (tmp_path / "keepalived.conf").write_text("global_defs {\n}\n")
    files = {"-f": "keepalived.conf", "-p": "pid", "-r": "vrrp.pid", "-c": "checkers.pid"}
    words = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
    keepalived = healthy.host.start(["keepalived", "-n", "-l", "-P", *words])
    try:
        eventually(lambda: "manager.other" in findings(healthy), SLACK, "it is found")
        assert findings(healthy) == {"manager.other": "systemctl disable --now keepalived"}
    finally:  # there is no systemd here; this is what it would do
        keepalived.send_signal(signal.SIGTERM)
        keepalived.wait(30)
    assert findings(healthy) == {}


def test_a_nearly_full_table_of_tracked_connections_is_found_and_enlarged(healthy, bench):
    most = "net.netfilter.nf_conntrack_max"
    before = healthy.host.read_sysctl(most)
    with tracking(healthy.host):
        bench.seen(WIDE, 4)
    count = int(healthy.host.read_sysctl("net.netfilter.nf_conntrack_count"))
    assert count > 1
    run("sysctl", "-q", "-w", f"{most}={count}")
    try:
        found = findings(healthy)
        assert found == {"conntrack.full": f"sysctl -w {most}={2 * count}"}
        run(*shlex.split(found["conntrack.full"]))  # it is the machine's, not the namespace's
        assert findings(healthy) == {}
    finally:
        run("sysctl", "-q", "-w", f"{most}={before}")


@contextmanager
def tracking(gateway: Host) -> Iterator[None]:
    """The gateway tracks its connections, as it does where a firewall asks for that."""
    program = find_program("iptables-legacy") or find_program("iptables")
    assert program, "the test tracks connections: apt-get install iptables"
    rule = ["INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT"]
    gateway.sysctl("net.ipv4.vs.conntrack", 1)
    gateway.run([program, "-A", *rule])
    yield
    gateway.run([program, "-D", *rule])
    gateway.sysctl("net.ipv4.vs.conntrack", 0)


def test_rates_of_very_many_services_are_found_costly_until_they_are_not_estimated(balancer):
    crowd = [server(f"10.9.{n // 250}.{n % 250 + 1}") for n in range(100)]
    pool = {"many": {"servers": crowd}}
    many = {k: v for k, v in masq(WIDE, ports=["10000-10199"]).items() if k != "servers"}
    text = config({**many, "pool": "many"}, pools=pool)
    balancer.host.run(["ip", "route", "add", "10.9.0.0/16", "dev", "eth1"])
    balancer.write(text)
    balancer.apply(text)
    try:
        assert mend_all(balancer) == ["estimation.costly"]
    finally:
        balancer.host.sysctl("net.ipv4.vs.run_estimation", 1)
        balancer.host.run(["ip", "route", "del", "10.9.0.0/16"])


def test_too_little_room_for_the_state_is_found_until_there_is_more(balancer):
    balancer.state_dir.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=8m", "none", balancer.state_dir)
    try:
        declare(balancer, masq(WIDE))
        balancer.state_dir.chmod(0o755)
        found = findings(balancer)
        assert set(found) == {"state.space"}
        assert "8.0M" in balancer.host.run(shlex.split(found["state.space"])).stdout
        run("mount", "-o", "remount,size=128m", balancer.state_dir)
        assert findings(balancer) == {}
        declare(balancer)
    finally:
        run("umount", balancer.state_dir)


def test_a_clock_that_went_back_is_found_until_it_is_right(balancer):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + 86_400)
    try:
        declare(balancer, masq(WIDE))
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() - 86_400)
    assert findings(balancer) == {"clock.went_back": "timedatectl set-ntp true"}
    time.clock_settime(time.CLOCK_REALTIME, time.time() + 86_400)  # as it would
    try:
        assert findings(balancer) == {}
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() - 86_400)


def test_a_clock_that_nothing_keeps_right_is_found_until_something_does(healthy):
    assert ("clock.unsynchronised", "timedatectl set-ntp true") in everything(healthy)
    with synchronised():
        assert everything(healthy) == []


@contextmanager
def synchronised() -> Iterator[None]:
    """The kernel is told what a time server's client tells it (adjtimex(2)): ADJ_STATUS without STA_UNSYNC."""
    tell = ctypes.CDLL(None).adjtimex

    def status(bits: int) -> None:
        timex = (ctypes.c_long * 64)()
        timex[0] = 0x0010 | 0x0004 | 0x0008  # ADJ_STATUS, ADJ_MAXERROR, ADJ_ESTERROR
        timex[5] = bits
        assert tell(timex) >= 0

    status(0)
    try:
        yield
    finally:
        status(0x40)


def test_what_cannot_be_looked_at_is_told_and_root_sees_it(balancer):
    declare(balancer, masq(new_vip()))
    doctor = balancer.process("doctor", "--probe", "--output", "json")
    powerless = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", *doctor]
    told_less = balancer.host.run(powerless, check=False, timeout=60)
    found = dict(told(told_less.returncode, told_less.stdout))
    assert found["not_seen"] == "run it as root"
    assert "not_seen" not in findings(balancer, "--probe")


@pytest.fixture
def daemon(bench, tmp_path):
    with running(bench, tmp_path, Launcher(bench.gateway).start) as started:
        yield started


def test_beside_a_daemon_nothing_is_found_and_nothing_is_changed(bench, balancer, tmp_path):
    balancer.write(config(masq(WIDE, **CHECKED)))
    found = findings(balancer)
    assert found["daemon.absent"] == "systemctl enable --now ipvs-lb"
    with running(bench, tmp_path, Launcher(bench.gateway).start) as daemon:
        balancer = daemon.balancer
        daemon.load(masq(WIDE, **CHECKED))
        daemon.becomes(WIDE, {ONE: 1, TWO: 1}, SLACK)
        with synchronised():
            before = seen_of(daemon)
            assert everything(balancer, *socket_of(daemon), "--probe") == []
            assert seen_of(daemon) == before


def seen_of(daemon: Running) -> object:
    """All that looking must leave as it is."""
    gateway = daemon.balancer.host
    kept = {
        path.name: path.read_bytes()
        for path in daemon.balancer.state_dir.iterdir()
        if not path.name.endswith(("-wal", "-shm"))
    }
    sysctls = gateway.run(["sysctl", "net.ipv4.vs", "net.ipv4.conf", "net.ipv4.ip_forward"]).stdout
    return daemon.balancer.rules(), daemon.balancer.addresses(), sysctls, kept


def socket_of(daemon: Running) -> tuple[str, str]:
    words = daemon.command()
    return "--socket", words[words.index("--socket") + 1]


def test_a_configuration_that_the_daemon_refused_is_found_until_it_is_read(daemon):
    balancer = daemon.balancer
    daemon.load(masq(WIDE, **CHECKED))
    daemon.becomes(WIDE, {ONE: 1, TWO: 1}, SLACK)
    good = balancer.config_path.read_text()
    balancer.config_path.write_text(good.replace('"tcp"', '"tpc"'))
    daemon.send(signal.SIGHUP)
    eventually(lambda: "config.refused" in daemon.events(), SLACK, "it is refused")
    refused = balancer.command("doctor", *socket_of(daemon))
    assert refused.exit_code == 2
    assert "tpc" in refused.stderr
    balancer.config_path.write_text(good)
    found = findings(balancer, *socket_of(daemon))
    assert set(found) == {"config.refused"}
    mend(balancer, found["config.refused"])
    daemon.send(signal.SIGHUP)
    eventually(
        lambda: findings(balancer, *socket_of(daemon)) == {}, SLACK, "it is read, and all is well"
    )


def test_the_daemon_s_own_limit_of_files_counts(bench, tmp_path):
    def narrow(command, *, log):
        return bench.gateway.start(["prlimit", f"--nofile={limit}:{limit}", *command], log=log)

    checks = masq(WIDE, *(server(ONE, port=port) for port in range(9000, 9060)), health_check=HTTP)
    for limit in (128, 4096):
        daemon = Running(bench, tmp_path, narrow)
        daemon.balancer.write(config(checks))
        try:
            daemon.start()
            found = findings(daemon.balancer, *socket_of(daemon)).get("files.limit")
        finally:
            daemon.close()
        if limit == 128:
            assert found == "systemctl edit ipvs-lb # [Service] LimitNOFILE=320"
        else:
            assert found is None


def test_without_ipvs_that_is_found_and_a_small_table_of_connections_once_it_is_there(
    balancer, bench
):
    """The last one: it loads the modules anew."""
    names = sorted(path.name for path in Path("/sys/module").glob("ip_vs_*"))
    for name in (*names, "ip_vs"):
        run("rmmod", name)
    balancer.write(config(masq(WIDE, ports=[53], protocol="udp")))
    module = next(module_list().parent.rglob("ip_vs.ko*"))
    run("mount", "--bind", "/dev/null", module)
    try:
        found = findings(balancer)
    finally:
        run("umount", module)
    assert found["ipvs.missing"].startswith("modprobe ip_vs")
    Path("/etc/modprobe.d/small.conf").write_text("options ip_vs conn_tab_bits=8\n")
    mend(balancer, "modprobe ip_vs")
    assert "ipvs.missing" not in findings(balancer)
    mend_all(balancer)
    fill(bench, WIDE, 8 * 256 + 100)
    found = findings(balancer)
    assert set(found) == {"connection_table.small"}
    Path("/etc/modprobe.d/small.conf").unlink()
    balancer.host.run(["sh", "-c", found["connection_table.small"]])
    balancer.ipvsadm("-C")
    for name in (*(path.name for path in Path("/sys/module").glob("ip_vs_*")), "ip_vs"):
        run("rmmod", name)
    run("modprobe", "ip_vs")
    Path("/etc/modprobe.d/ip_vs.conf").unlink()
    mend_all(balancer)
    fill(bench, WIDE, 8 * 256 + 100)
    assert findings(balancer) == {}


def fill(bench, vip: str, connections: int) -> None:
    """Datagrams from as many ports: each is a connection to IPVS."""

    def send() -> None:
        import socket

        for port in range(20_000, 20_000 + connections):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.bind((OUTSIDER, port))
                one.sendto(b"?", (vip, 53))

    bench.outsider.call(send)
