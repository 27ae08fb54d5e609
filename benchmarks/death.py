"""A real server process is killed: how long until its row is gone from the kernel, and until no client meets it."""

from __future__ import annotations

import contextlib
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from benchmarks.measure import apart
from benchmarks.probes import started
from ipvs_lb.netlink import NetlinkKernel

VIP, PORT = "10.0.0.16", 80
SERVERS = ("10.1.0.1", "10.1.0.2")
VICTIM = SERVERS[1]
_PATIENCE, _PAUSE = 30.0, 0.005
_SERVER = """
import socket, sys
listening = socket.create_server((sys.argv[1], 80), backlog=512)
while True:
    taken, _ = listening.accept()
    taken.sendall(b"well")
    taken.close()
"""
OURS = f"""
version: 1
services:
  - name: web
    vip: {{address: {VIP}, managed: false}}
    port: {PORT}
    servers: [{{name: a, address: {SERVERS[0]}}}, {{name: b, address: {SERVERS[1]}}}]
    health_check: {{type: tcp, interval: 1s, timeout: 900ms, rise: 1, fall: 1}}
"""
_REAL = (
    "real_server {address} {port} {{\nweight 1\nTCP_CHECK {{\nconnect_timeout 1\nretry 0\n}}\n}}\n"
)
THEIRS = (
    f"virtual_server {VIP} {PORT} {{\ndelay_loop 1\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\n"
    + "".join(_REAL.format(address=address, port=PORT) for address in SERVERS)
    + "}\n"
)


def compare_deaths(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Both tools in turn, each in a network namespace of its own, over *rounds* deaths."""
    found: dict[str, dict[str, float]] = {}
    for name, command in _tools(folder).items():
        taken = apart(partial(deaths, command, rounds))
        for what in ("row gone", "last client hit"):
            values = sorted(value for told, value in taken if told == what)
            summary = {"p50": statistics.median(values), "max": values[-1]}
            found[f"{name}: {what}"] = summary
            shown = ", ".join(f"{key} {1000 * value:.0f}" for key, value in summary.items())
            print(f"  {name:<12} {what:<16} after ms: {shown} ({len(values)} deaths)", flush=True)
    return found


def _tools(folder: Path) -> dict[str, tuple[str, ...]]:
    (folder / "lb.yaml").write_text(OURS)
    (folder / "keepalived.conf").write_text(THEIRS)
    files = {name: str(folder / name) for name in ("lb.yaml", "state", "api.sock")}
    ours = (
        "run",
        "-c",
        files["lb.yaml"],
        "--state-dir",
        files["state"],
        "--socket",
        files["api.sock"],
    )
    pids = (f"-p{folder}/parent.pid", f"-c{folder}/checker.pid")
    return {
        "ipvs_lb": (sys.executable, "-m", "ipvs_lb", *ours),
        "keepalived": ("keepalived", "-n", "-C", "-f", str(folder / "keepalived.conf"), *pids),
    }


def deaths(command: tuple[str, ...], rounds: int) -> Iterator[tuple[str, float]]:
    """What is measured of each death, with the tool that *command* starts looking after the servers."""
    for address in (VIP, *SERVERS):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    with NetlinkKernel() as kernel, _serving(SERVERS[0]), started(*command):
        for _ in range(rounds):
            with _serving(VICTIM) as victim:
                _wait(lambda: _is_in(kernel))
                time.sleep(random.random())  # in step with nothing
                victim.kill()
                yield from _watch(kernel, time.perf_counter())
            time.sleep(0.5)


@contextlib.contextmanager
def _serving(address: str) -> Iterator[subprocess.Popen[bytes]]:
    with started(sys.executable, "-c", _SERVER, address) as process:
        yield process


def _is_in(kernel: NetlinkKernel) -> bool:
    wanted = ip_address(VICTIM)
    return any(
        key.address == wanted and server.weight
        for virtual in kernel.read().services.values()
        for key, server in virtual.servers.items()
    )


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.perf_counter() + _PATIENCE
    while not is_so():
        if time.perf_counter() > end:
            raise SystemExit("the server is not in")
        time.sleep(_PAUSE)


def _watch(kernel: NetlinkKernel, killed: float) -> Iterator[tuple[str, float]]:
    """Ask as a client until the row is gone; the last request that met the dead server."""
    hit = killed
    while _is_in(kernel):
        if not _answers():
            hit = time.perf_counter()
        time.sleep(_PAUSE)
        if time.perf_counter() - killed > _PATIENCE:
            raise SystemExit("the dead server stays in")
    gone = time.perf_counter()
    for _ in range(20):
        if not _answers():
            hit = time.perf_counter()
    yield "row gone", gone - killed
    yield "last client hit", hit - killed


def _answers() -> bool:
    try:
        with socket.create_connection((VIP, PORT), timeout=2) as asking:
            return asking.recv(16) == b"well"
    except OSError:
        return False
