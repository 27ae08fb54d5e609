"""Memory of the whole daemon, `ipvs-lb run`, with 10,000 http-checked servers, and its CPU per check.

    unshare -n python -m benchmarks.daemon_memory                    # natively: IPVS is a table in another process
    ./scripts/guest --mem 3G --timeout 600 python -m benchmarks.daemon_memory --kernel
    unshare -n python -m benchmarks.daemon_memory --servers 1000 5000 10000

The servers are addresses of the loopback interface with an nginx behind them. Resident memory is that of the daemon's
process; the table of the native run is in a process of its own, which does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import machine, save
from benchmarks.probes import accepted, addresses, cpu_seconds, nginx
from ipvs_lb.cli.daemon import AbsentError, Daemon
from ipvs_lb.errors import LBError

PORT, OF_A_SERVICE = 80, 20
BUDGET = 120.0
_RELOADS, _SCRAPES = 5, 10
_PATIENCE = 120
Figures = dict[str, float]


def config_text(servers: int, interval: float) -> str:
    """Services of 20 servers; every server is checked by http."""
    targets = addresses(servers)
    lines = ["version: 1", "services:"]
    for number, start in enumerate(range(0, servers, OF_A_SERVICE)):
        lines += [
            f"  - name: service-{number}",
            "    vip: {address: 10.200.0.1, managed: false}",
            f"    port: {1000 + number}",
            f"    health_check: {{type: http, path: /, interval: {interval:g}s, timeout: 3s}}",
            "    servers:",
        ]
        lines += [
            f"      - {{name: s{start + n}, address: {address}, port: {PORT}}}"
            for n, address in enumerate(targets[start : start + OF_A_SERVICE])
        ]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def daemon(folder: Path, *, kernel: bool) -> Iterator[tuple[subprocess.Popen[bytes], Daemon]]:
    """`ipvs-lb run`, once it has compared the kernel."""
    module = "ipvs_lb" if kernel else "benchmarks.loopback"
    path = folder / "api.sock"
    words = ["run", "-c", folder / "lb.yaml", "--state-dir", folder / "state", "--socket", path]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([sys.executable, "-m", module, *map(str, words)], stderr=log) as process,
    ):
        try:
            api = Daemon(path)
            wait_until_at_work(process, api)
            yield process, api
        finally:
            process.terminate()


def wait_until_at_work(process: subprocess.Popen[bytes], api: Daemon) -> None:
    for _ in range(_PATIENCE * 5):
        with contextlib.suppress(AbsentError, LBError):
            if api.get("/v1/services")["services"]:
                return
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise SystemExit("the daemon did not start")


def scrape(path: Path) -> None:
    """Read the metrics as Prometheus does."""
    connection = http.client.HTTPConnection("localhost", timeout=_PATIENCE)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    with contextlib.closing(connection):
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        connection.getresponse().read()


def megabytes(process: int, what: str = "VmRSS") -> float:
    """The resident memory of *process*."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(what)


def measure(folder: Path, servers: int, options: argparse.Namespace) -> Figures:
    config = folder / "lb.yaml"
    config.write_text(config_text(servers, options.interval))
    figures: Figures = {}

    def note(what: str, value: float, unit: str) -> None:
        figures[what] = value
        mark = "   over the budget" if unit == "MB" and value > BUDGET else ""
        print(f"  {servers:>6,} servers: {what:<44} {value:8.1f} {unit}{mark}", flush=True)

    with daemon(folder, kernel=options.kernel) as (process, api):
        note("at work", megabytes(process.pid), "MB")
        time.sleep(options.warm)
        before, checks = cpu_seconds(process.pid), accepted(PORT)
        time.sleep(options.window)
        used, done = cpu_seconds(process.pid) - before, accepted(PORT) - checks
        note("after a while of checks", megabytes(process.pid), "MB")
        note(
            f"CPU of the whole daemon per check, {done / options.window:.0f}/s",
            1e6 * used / max(done, 1),
            "us",
        )
        up = api.get("/v1/services")["services"]
        note("servers up", sum(one["states"].get("up", 0) for one in up), "")
        for question in ("/v1/status", "/v1/status"):
            api.get(question)
        note("after two status answers", megabytes(process.pid), "MB")
        for _ in range(_SCRAPES):
            scrape(folder / "api.sock")
        note(f"after {_SCRAPES} readings of metrics", megabytes(process.pid), "MB")
        for number in range(_RELOADS):
            name = f"s{number * OF_A_SERVICE}"
            config.write_text(config.read_text().replace(f"name: {name},", f"name: {name}-anew,"))
            process.send_signal(signal.SIGHUP)
            time.sleep(options.reload)
        note(f"after {_RELOADS} reloads, each with a change", megabytes(process.pid), "MB")
        note("peak", megabytes(process.pid, "VmHWM"), "MB")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", type=int, nargs="+", default=[10_000])
    parser.add_argument(
        "--interval", type=float, default=20, help="seconds between two checks of one"
    )
    parser.add_argument(
        "--warm", type=float, default=40, help="seconds before the checks are counted"
    )
    parser.add_argument("--window", type=float, default=30, help="seconds of counting")
    parser.add_argument("--reload", type=float, default=10, help="seconds after each reload")
    parser.add_argument("--kernel", action="store_true", help="the IPVS of this kernel")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    figures = {}
    for servers in options.servers:
        with (
            tempfile.TemporaryDirectory(dir="/run") as folder,
            nginx(Path(folder), PORT),
        ):
            figures[f"{servers} servers"] = measure(Path(folder), servers, options)
    save(options.json, figures)


if __name__ == "__main__":
    main()
