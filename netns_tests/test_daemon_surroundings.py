"""What surrounds the daemon changes under it: links, addresses, the clock, the kernel's IPVS, its own time to run."""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.addresses import LinuxHost
from ipvs_lb.model.host import AddAddress, HostCommand, InterfaceAddress, RemoveAddress
from netns_tests.balance import (
    ONE,
    ONE_6,
    TWO,
    Balancer,
    answered,
    config,
    new_vip,
    new_vip_6,
    service,
)
from netns_tests.daemon import (
    IN,
    OUT,
    PORT,
    SLACK,
    Backend,
    Running,
    eventually,
    fails,
    running,
    seen,
    web,
)

BOTH = {ONE: 1, TWO: 1}
DAY = 86400.0
SELDOM = {"reconcile_interval": "10m"}
"""So that nothing below is due to the comparison that would have come anyway."""
FARAWAY = "198.51.100.7"


@pytest.fixture(scope="module")
def backends(bench):
    return [Backend(host) for host in bench.servers]


@pytest.fixture(scope="module")
def daemon(bench, backends, tmp_path_factory):
    with running(bench, tmp_path_factory.mktemp("daemon")) as started:
        yield started


@pytest.fixture
def guest():
    """A machine that was started for the tests: its clock and its modules are nobody else's."""
    if socket.gethostname() != "guest" or not Path("/run/layers").is_dir():
        pytest.skip("this would change the machine itself; run it as scripts/guest --kind uml")


def load(daemon, *services, **settings):
    """Have *services* in force, and compared with the kernel by nothing but what happens."""
    daemon.balancer.write(config(*services, daemon={**SELDOM, **settings}))
    daemon.api.post("/v1/reload")


def announced(vip, **settings):
    """A service with two servers, whose VIP is announced."""
    return {**web(vip, ONE, TWO), "vip": {"address": vip, **settings}}


def announced_6(vip):
    """As `announced`, on port 80 over IPv6, with one server."""
    return {**service(vip, ONE_6), "vip": {"address": vip}}


def ip(bench, *words):
    bench.gateway.run(["ip", *words])


def has(daemon, *addresses):
    return set(addresses) <= daemon.balancer.addresses()


def told(daemon, name):
    return [event for event in daemon.api.get("/v1/events")["events"] if event["name"] == name]


def compared(daemon):
    """When the daemon last compared everything."""
    return daemon.api.get("/v1/status")["kernel"]["reconciled"]


def compared_since(daemon, before):
    return compared(daemon) > before


@contextmanager
def ears(host, interface):
    """What arrives on *interface* from inside on, until it is asked: then what was heard."""
    wire = host.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind((interface, 3))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    wire.setblocking(False)

    def heard():
        found = []
        try:
            while True:
                found.append(wire.recv(2048))
        except BlockingIOError:
            return found

    with wire:
        yield heard


def is_arp_of(frame, vip):
    """A gratuitous ARP, request or reply: sender and target are the same."""
    own = socket.inet_aton(vip)
    return frame[12:14] == b"\x08\x06" and frame[28:32] == own and frame[38:42] == own


def is_advertisement_of(frame, vip):
    own = socket.inet_pton(socket.AF_INET6, vip)
    return frame[12:14] == b"\x86\xdd" and frame[54:55] == b"\x88" and frame[62:78] == own


def test_what_we_do_to_addresses_is_no_news_and_what_others_do_is(bench):
    own = [
        InterfaceAddress("eth1", ip_address(new_vip()), 32),
        InterfaceAddress("eth1", ip_address(new_vip_6()), 128),
    ]
    theirs = f"{new_vip()}/32"

    async def heard() -> list[tuple[str, ...]]:
        host, news = LinuxHost(), []

        async def listen() -> None:
            async for came_up in host.changes():
                news.append(tuple(came_up))  # noqa: PERF401  # it never ends

        task = asyncio.create_task(listen())
        await asyncio.sleep(3)  # new links and their link-local addresses have come to rest
        news.clear()
        add = [AddAddress(place, announce=True) for place in own]
        steps: list[HostCommand] = [*add, *add, *map(RemoveAddress, own)]
        for step in steps:
            await asyncio.to_thread(host.execute, step)
        await asyncio.sleep(0.5)
        assert news == []
        for command in ("add", "del"):
            await asyncio.to_thread(ip, bench, "address", command, theirs, "dev", "eth1")
        await asyncio.sleep(0.5)
        task.cancel()
        return news

    assert bench.gateway.call(asyncio.run, heard()) == [(), ()]


def test_vips_that_others_take_away_are_back_at_once_and_then_it_is_quiet(bench, daemon):
    vip, vip_6 = new_vip(), new_vip_6()
    load(daemon, announced(vip), announced_6(vip_6))
    places = f"{vip}/32", f"{vip_6}/128"
    eventually(lambda: has(daemon, *places), SLACK, "the VIPs are there")
    daemon.becomes(vip, BOTH, IN + SLACK)
    before = compared(daemon)
    time.sleep(3)
    assert compared(daemon) == before

    for place in places:
        ip(bench, "address", "del", place, "dev", "eth1")
        eventually(partial(has, daemon, place), SLACK, f"{place} is back")
    own = [a for a in daemon.balancer.addresses() if a.endswith(("/24", "/64")) and "fe80" not in a]
    try:
        ip(bench, "address", "flush", "dev", "eth1", "scope", "global")
    finally:
        for address in own:
            if address.startswith(("10.0.0.", "2001:db8:2:")):
                bench.gateway.address("eth1", address)
    eventually(lambda: has(daemon, *places), SLACK, "both are back")
    assert answered(bench.outsider, vip, port=PORT) in {"server-1", "server-2"}
    assert answered(bench.outsider, vip_6) == "server-1"


def test_a_link_that_went_down_and_up_has_its_vips_back_and_announces_them(bench, daemon):
    """Taking a link down takes its IPv6 addresses away; IPv4 ones stay and have to be announced."""
    vip, vip_6 = new_vip(), new_vip_6()
    load(daemon, announced(vip), announced_6(vip_6))
    places = f"{vip}/32", f"{vip_6}/128"
    eventually(lambda: has(daemon, *places), SLACK, "the VIPs are there")
    time.sleep(6)  # the announcements of adding them are over
    with ears(bench.neighbour, "eth0") as heard:
        try:
            bench.gateway.link_down("eth1")
            time.sleep(1)
            heard()
        finally:
            bench.gateway.link_up("eth1")
            bench.gateway.address("eth1", "2001:db8:2::1/64")
        frames = []

        def counts():
            frames.extend(heard())
            arp = [frame for frame in frames if is_arp_of(frame, vip)]
            return len(arp), len([one for one in frames if is_advertisement_of(one, vip_6)])

        eventually(lambda: min(counts()) >= 3, 6 + SLACK, f"announced {counts()}")
    assert has(daemon, *places)
    daemon.becomes(vip, BOTH, IN + SLACK)
    assert answered(bench.outsider, vip, port=PORT) in {"server-1", "server-2"}
    assert answered(bench.outsider, vip_6) == "server-1"


def test_a_vips_interface_goes_and_comes_back_and_other_services_notice_nothing(
    bench, backends, daemon
):
    vip = new_vip()
    ip(bench, "link", "add", "vip0", "type", "dummy")
    ip(bench, "link", "set", "vip0", "up")
    try:
        load(daemon, announced(vip), announced(FARAWAY, interface="vip0"))
        daemon.becomes(FARAWAY, BOTH, IN + SLACK)
        eventually(lambda: not fails(bench.outsider, FARAWAY), SLACK, "the VIP answers")

        ip(bench, "link", "del", "vip0")
        eventually(lambda: "host.failed" in daemon.events(), SLACK, "that is told")
        assert fails(bench.outsider, FARAWAY)
        backends[1].close()
        daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
        assert seen(bench.outsider, vip) == ["server-1"] * 4
        backends[1].open()
        daemon.becomes(vip, BOTH, IN + SLACK)
        daemon.api.post("/v1/reload")  # with the interface away
        failures = told(daemon, "host.failed")
        assert [f["facts"]["reason"].endswith("no interface vip0") for f in failures] == [True]

        ip(bench, "link", "add", "vip0", "type", "dummy")
        ip(bench, "link", "set", "vip0", "up")
        eventually(lambda: not fails(bench.outsider, FARAWAY), SLACK, "the VIP answers again")
        eventually(lambda: "host.recovered" in daemon.events(), SLACK, "that is told, too")
    finally:
        backends[1].open()
        bench.gateway.run(["ip", "link", "del", "vip0"], check=False)


def test_the_servers_interface_goes_and_comes_back(bench, daemon):
    vip = new_vip()
    load(daemon, announced(vip))
    daemon.becomes(vip, BOTH, IN + SLACK)
    away = bench.outsider.namespace
    ip(bench, "link", "set", "eth1", "netns", away)
    try:
        daemon.becomes(vip, {}, OUT + SLACK)
        assert fails(bench.outsider, vip)
    finally:
        bench.outsider.run(["ip", "link", "set", "eth1", "netns", bench.gateway.namespace])
        bench.gateway.configure("eth1", "10.0.0.1/24", "2001:db8:2::1/64")
    daemon.becomes(vip, BOTH, IN + SLACK)
    on_link = bench.gateway.run(["ip", "address", "show", "dev", "eth1"]).stdout
    assert f"{vip}/32" in on_link, "the VIP is where it was"
    assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}


def test_more_news_of_links_than_the_kernel_keeps_is_a_reason_to_look(bench, daemon):
    vip = new_vip()
    load(daemon, announced(vip))
    eventually(lambda: has(daemon, f"{vip}/32"), SLACK, "the VIP is there")
    change = "address add 192.0.2.77/32 dev lo\naddress del 192.0.2.77/32 dev lo\n"
    batch = change * 600 + f"address del {vip}/32 dev eth1\n" + change * 10
    daemon.send(signal.SIGSTOP)
    try:
        bench.gateway.call(
            subprocess.run, ["ip", "-batch", "-"], input=batch, text=True, check=True
        )
        assert lost(daemon.pid) > 0, "the kernel had to drop messages"
    finally:
        daemon.send(signal.SIGCONT)
    eventually(lambda: has(daemon, f"{vip}/32"), SLACK, "the VIP is back")
    ip(bench, "address", "del", f"{vip}/32", "dev", "eth1")
    eventually(lambda: has(daemon, f"{vip}/32"), SLACK, "and news is heard as before")
    assert "task.crashed" not in daemon.events()


def lost(pid):
    """The messages that sockets which listen to links have lost (/proc/net/netlink)."""
    rows = [row.split() for row in Path(f"/proc/{pid}/net/netlink").read_text().splitlines()[1:]]
    return sum(int(row[8]) for row in rows if row[1] == "0" and int(row[3], 16) & 0x111)


def test_flapping_links_cost_a_comparison_a_second_at_most(bench, daemon):
    vip = new_vip()
    load(daemon, announced(vip))
    eventually(lambda: has(daemon, f"{vip}/32"), SLACK, "the VIP is there")
    time.sleep(1)
    seen_times, began = {compared(daemon)}, time.monotonic()
    ip(bench, "link", "add", "flap0", "type", "dummy")
    try:
        while time.monotonic() - began < 4:
            ip(bench, "link", "set", "flap0", "up")
            ip(bench, "link", "set", "flap0", "down")
            seen_times.add(compared(daemon))
    finally:
        ip(bench, "link", "del", "flap0")
    took = time.monotonic() - began
    assert 2 <= len(seen_times) <= took + 2


@contextmanager
def clock_moved(seconds: float) -> Iterator[None]:
    """The machine's clock is so much ahead inside, and right again after."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() - seconds)


@pytest.mark.usefixtures("guest")
def test_a_clock_that_jumps_a_day_flaps_nothing_and_ends_no_order_early_or_late(bench, daemon):
    vip = new_vip()
    load(daemon, announced(vip), reconcile_interval="1s")
    daemon.becomes(vip, BOTH, IN + SLACK)
    last = told(daemon, "config.loaded")[-1]["number"]
    for jump in (DAY, -DAY):
        ordered = time.monotonic()
        daemon.order(TWO, "weight", weight=7, **{"for": 9})
        daemon.becomes(vip, {ONE: 1, TWO: 7}, SLACK)
        with clock_moved(jump):
            time.sleep(2)
            assert daemon.weights(vip) == {ONE: 1, TWO: 7}
            daemon.becomes(vip, BOTH, 9 + SLACK)
            assert time.monotonic() - ordered > 8
            eventually(partial(compared_since, daemon, compared(daemon)), SLACK, "it goes on")
        assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}
    events = [e for e in daemon.api.get("/v1/events")["events"] if e["number"] > last]
    assert not [e for e in events if e["name"] in {"server.down", "task.crashed", "drift.repaired"}]
    times = [event["at"] for event in events]
    assert times == sorted(times)
    assert times[-1] - times[0] < DAY / 2


def test_a_process_that_was_suspended_takes_no_server_for_dead(bench, daemon):
    vip = new_vip()
    load(daemon, announced(vip), reconcile_interval="1s")
    daemon.becomes(vip, BOTH, IN + SLACK)
    last = told(daemon, "config.loaded")[-1]["number"]
    daemon.send(signal.SIGSTOP)
    try:
        time.sleep(15)
        assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}
    finally:
        daemon.send(signal.SIGCONT)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        assert daemon.weights(vip) == BOTH
    events = [e for e in daemon.api.get("/v1/events")["events"] if e["number"] > last]
    assert not {e["name"] for e in events} & {"server.down", "service.unserved", "task.crashed"}


@contextmanager
def no_modules() -> Iterator[None]:
    """No module can be loaded inside."""
    folder = f"/lib/modules/{platform.release()}"
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def unload_ipvs(balancer: Balancer) -> None:
    """Empty the table and take IPVS out of the kernel."""
    balancer.ipvsadm("-C")

    def is_out():
        rows = [row.split() for row in Path("/proc/modules").read_text().splitlines()]
        loaded = [row[0] for row in rows if row[0].startswith("ip_vs")]
        if loaded:
            by_need = sorted(loaded, key=len, reverse=True)
            subprocess.run(["rmmod", *by_need], check=False, capture_output=True)
        return not loaded

    eventually(is_out, 4 * SLACK, f"ip_vs is out: {Path('/proc/modules').read_text()}")


@pytest.mark.usefixtures("guest")
def test_ipvs_that_was_taken_out_of_the_kernel_is_missed_loudly_and_used_when_it_is_back(
    bench, backends, daemon
):
    vip = new_vip()
    load(daemon, announced(vip), reconcile_interval="1s")
    daemon.becomes(vip, BOTH, IN + SLACK)
    failures, recoveries = len(told(daemon, "kernel.failed")), len(told(daemon, "kernel.recovered"))
    with no_modules():
        daemon.send(signal.SIGSTOP)
        try:
            unload_ipvs(daemon.balancer)
        finally:
            daemon.send(signal.SIGCONT)
        eventually(lambda: len(told(daemon, "kernel.failed")) > failures, SLACK, "it is missed")
        backends[1].close()
        downs = len(told(daemon, "server.down"))
        eventually(lambda: len(told(daemon, "server.down")) > downs, OUT + SLACK, "checks go on")
        failure = told(daemon, "kernel.failed")[-1]["facts"]
        assert "does not have it" in failure["reason"]
        assert "modprobe ip_vs" in failure["hint"]
    try:
        eventually(lambda: len(told(daemon, "kernel.recovered")) > recoveries, 10 + SLACK, "back")
        daemon.becomes(vip, {ONE: 1}, SLACK)
        assert seen(bench.outsider, vip) == ["server-1"] * 4
    finally:
        backends[1].open()
    daemon.becomes(vip, BOTH, IN + SLACK)
    assert len(told(daemon, "kernel.failed")) == failures + 1, "not once for every attempt"

    daemon.send(signal.SIGSTOP)
    try:
        unload_ipvs(daemon.balancer)
    finally:
        daemon.send(signal.SIGCONT)
    daemon.becomes(vip, BOTH, 3 + SLACK)  # loaded by the daemon itself
    assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}


_PIDFD_GETFD = 438  # asm-generic/unistd.h
_SO_ATTACH_FILTER = 26
_NETLINK_GENERIC = "16"


def leads_to(entry: Path) -> str:
    """What a descriptor is, nothing when it was closed just now."""
    with suppress(FileNotFoundError):
        return os.readlink(entry)  # noqa: PTH115  # it need not be a path
    return ""


def ipvs_sockets(pid: int) -> list[socket.socket]:
    """The daemon's own sockets to the kernel's IPVS, shared."""
    rows = [row.split() for row in Path(f"/proc/{pid}/net/netlink").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1] == _NETLINK_GENERIC}
    opened = {leads_to(entry): int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    call = ctypes.CDLL(None, use_errno=True).syscall
    process = os.pidfd_open(pid)
    try:
        numbers = [opened[inode] for inode in inodes & opened.keys()]
        shared = [call(_PIDFD_GETFD, process, number, 0) for number in numbers]
    finally:
        os.close(process)
    assert shared, "it has none"
    assert min(shared) >= 0, os.strerror(ctypes.get_errno())
    return [socket.socket(fileno=descriptor) for descriptor in shared]


def test_a_netlink_socket_that_goes_dead_is_replaced(bench, backends, daemon):
    """It is made deaf by a filter that lets no answer pass, and impatient, so that the test need not wait 30 s."""
    vip = new_vip()
    load(daemon, announced(vip), reconcile_interval="1s")
    daemon.becomes(vip, BOTH, IN + SLACK)
    failures, recoveries = len(told(daemon, "kernel.failed")), len(told(daemon, "kernel.recovered"))
    nothing = struct.pack("=HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K
    program = ctypes.create_string_buffer(nothing, len(nothing))
    for dead in ipvs_sockets(daemon.pid):
        with dead:
            dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("=qq", 0, 300_000))
            filtering = struct.pack("HL", 1, ctypes.addressof(program))
            dead.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtering)
    eventually(lambda: len(told(daemon, "kernel.failed")) > failures, SLACK, "it is noticed")
    eventually(lambda: len(told(daemon, "kernel.recovered")) > recoveries, SLACK, "and replaced")
    backends[1].close()
    try:
        daemon.becomes(vip, {ONE: 1}, OUT + SLACK)
    finally:
        backends[1].open()
    daemon.becomes(vip, BOTH, IN + SLACK)


def test_without_the_capability_all_but_the_kernel_goes_on_and_with_it_the_next_start_serves(
    bench, backends, tmp_path
):
    def powerless(command, *, log):
        without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
        return bench.gateway.start([*without, *command], log=log)

    vip = new_vip()
    text = config(announced(vip))
    daemon = Running(bench, tmp_path, powerless)
    daemon.balancer.write(text)
    try:
        daemon.start(wait=False)
        eventually((tmp_path / "api.sock").exists, 40, "the API is there")
        eventually(lambda: "kernel.failed" in daemon.events(), 40, "it is told")
        (failure,) = told(daemon, "kernel.failed")
        assert "not permitted" in failure["facts"]["reason"]
        assert "CAP_NET_ADMIN" in failure["facts"]["hint"]
        eventually(lambda: len(told(daemon, "server.up")) == 2, IN + SLACK, "checks go on")
        assert daemon.weights(vip) == {}
        assert daemon.end(signal.SIGTERM) == 0
    finally:
        if daemon._process is not None:
            daemon.end(signal.SIGKILL)
    with running(bench, tmp_path) as able:
        able.load(announced(vip))
        able.becomes(vip, BOTH, IN + SLACK)
        assert set(seen(bench.outsider, vip)) == {"server-1", "server-2"}
