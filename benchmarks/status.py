"""What `ipvs-lb status` takes with 1,000 services x 20 servers: the whole command, and the CPU of everybody in it.

    unshare -n python -m benchmarks.status         # natively: IPVS is a table in another process (benchmarks.loopback)
    ./scripts/guest --mem 3G --timeout 900 python -m benchmarks.status --kernel

A whole daemon, `ipvs-lb run`, whose servers are addresses of the loopback interface with an nginx behind them. A round
is the command as an operator types it, from the start of its process to its last line, which goes nowhere. The CPU that
client and daemon use is what a busy machine spoils least; together they can take longer than the whole, since the
client reads what the daemon has made while it makes the rest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.daemon_memory import OF_A_SERVICE, PORT, config_text, daemon
from benchmarks.measure import machine, save
from benchmarks.probes import nginx
from ipvs_lb.cli.daemon import Daemon

BUDGET = 0.5
_COMMANDS = {
    "status": (),
    "status --output json": ("--output", "json"),
    "status of one server": ("service-7/s140",),
}
_CLOCK = os.sysconf("SC_CLK_TCK")
Figures = dict[str, dict[str, float]]


def used(process: int) -> float:
    """User and system time of all threads of *process*, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK


def ask(socket: Path, words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds that one command takes, and seconds of CPU that its process uses."""
    command = [sys.executable, "-m", "ipvs_lb", "status", "--socket", str(socket), *words]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, spent = os.wait4(process.pid, 0)
        took = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    return took, spent.ru_utime + spent.ru_stime


def wait_until_up(api: Daemon, servers: int) -> None:
    while True:
        services = api.get("/v1/services")["services"]
        if sum(one["states"].get("up", 0) for one in services) == servers:
            return
        time.sleep(0.5)


def measure(folder: Path, servers: int, options: argparse.Namespace) -> Figures:
    (folder / "lb.yaml").write_text(config_text(servers, options.interval))
    figures: Figures = {}
    with daemon(folder, kernel=options.kernel) as (process, api):
        wait_until_up(api, servers)
        time.sleep(options.settle)
        for name, words in _COMMANDS.items():
            before = used(process.pid)
            start = time.perf_counter()
            rounds = [ask(folder / "api.sock", words) for _ in range(options.rounds)]
            lasted = time.perf_counter() - start
            after = used(process.pid)
            time.sleep(lasted)
            idle = used(process.pid) - after
            seen = {
                "median": statistics.median(took for took, _ in rounds),
                "quickest": min(took for took, _ in rounds),
                "client's CPU": statistics.median(cpu for _, cpu in rounds),
                "daemon's CPU": (after - before - idle) / options.rounds,
            }
            figures[name] = seen
            mark = "   over the budget" if seen["median"] > BUDGET else ""
            shown = ", ".join(f"{what} {value:.3f}" for what, value in seen.items())
            print(f"  {name:<22} s: {shown}{mark}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=1000, help="of 20 servers each")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--interval", type=float, default=60, help="seconds between two checks")
    parser.add_argument("--settle", type=float, default=25, help="seconds of rest once all are up")
    parser.add_argument("--kernel", action="store_true", help="the IPVS of this kernel")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(dir="/run") as folder, nginx(Path(folder), PORT):
        figures = measure(Path(folder), options.services * OF_A_SERVICE, options)
    save(options.json, {"status": figures})


if __name__ == "__main__":
    main()
