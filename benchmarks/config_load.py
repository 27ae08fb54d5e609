"""CPU time of loading a large configuration: `python -m benchmarks.config_load [SERVICES] [SERVERS]`.

Writes one server a line, 42,000 lines by default, and loads the file several times in this process; the time is that
of the process alone, whatever else the machine does.
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from ipvs_lb.config import load

ROUNDS = 5


def text(services: int, servers: int) -> str:
    """A configuration of that size."""
    lines = ["version: 1", "services:"]
    for number in range(services):
        block = f"{number // 250}.{number % 250}"
        lines.append(f"  - {{name: s{number}, vip: 10.{block}.1, port: 80, servers: [")
        lines += [
            f"      {{name: s{number}-{index}, address: 10.{100 + index // 100}.{block}, "
            f"port: {8000 + index}, weight: {1 + index % 10}}},"
            for index in range(servers)
        ]
        lines[-1] += "]}"
    return "\n".join(lines) + "\n"


def main() -> None:
    services, servers = map(int, [*sys.argv[1:], "2000", "20"][:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.yaml")
        path.write_text(text(services, servers))
        lines = path.read_text().count("\n")
        seconds = [_cpu_seconds(path) for _ in range(ROUNDS)]
    print(f"{platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}")
    print(f"{services} services x {servers} servers, {lines} lines, {ROUNDS} rounds")
    print(f"median {statistics.median(seconds):.2f} s of CPU, worst {max(seconds):.2f} s")


def _cpu_seconds(path: Path) -> float:
    start = time.process_time()
    load(path)
    return time.process_time() - start


if __name__ == "__main__":
    main()
