"""How long the daemon's event loop is held, and how long the API takes: everything that happens at 20,000 servers.

    python -m benchmarks.stalls                    # natively: IPVS is a table in another process (benchmarks.loopback)
    ./scripts/guest --mem 3G python -m benchmarks.stalls --kernel

The balancer, its API server, codec, store and host are the real ones in one process; probes end as told after 2 ms.
A client in another process asks the API. For each thing that happens: the longest time a task that wants to run every
2 ms was late, and the CPU the loop itself used at most between two of its turns. The second is what a busy machine does
not spoil.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from benchmarks.gateway import (
    REFUSED,
    Answering,
    Lateness,
    balancing,
    config_text,
    edges,
)
from benchmarks.measure import leave_network, machine, save
from ipvs_lb.api.server import serving
from ipvs_lb.api.traffic import Traffic
from ipvs_lb.daemon.rest import prepare, settle_down
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.metrics.app import Metrics
from ipvs_lb.metrics.counts import Counts
from ipvs_lb.netlink.proc import read_text

BUDGET = 0.05
_CLIENT = """
import sys, time
from pathlib import Path
from ipvs_lb.cli.daemon import Daemon
start = time.perf_counter()
Daemon(Path(sys.argv[1]), patience=60).get(sys.argv[2])
print(time.perf_counter() - start)
"""
_SCRAPER = """
import http.client, socket, sys, time
start = time.perf_counter()
connection = http.client.HTTPConnection("localhost", timeout=60)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("GET", sys.argv[2], headers={"Accept-Encoding": sys.argv[3]})
assert len(connection.getresponse().read()) > 1000
print(time.perf_counter() - start)
"""
QUESTIONS = (
    "/v1/health",
    "/v1/status",
    "/v1/services",
    "/v1/servers",
    "/v1/servers?state=down",
    "/v1/servers?server=s17-*",
    "/v1/servers?server=10.100.17.*",
    "/v1/servers/s17-3/explain",
    "/v1/servers/*/explain",
    "/v1/names?prefix=s99",
)
Figures = dict[str, tuple[float, float, float]]


async def ask(socket: Path, question: str) -> float:
    """The seconds a client in a process of its own waits for the whole answer, parsed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CLIENT, str(socket), question, stdout=subprocess.PIPE
    )
    told, _ = await process.communicate()
    return float(told)


async def scrape(socket: Path, encoding: str) -> float:
    """The same for metrics, which are not parsed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SCRAPER, str(socket), "/metrics", encoding, stdout=subprocess.PIPE
    )
    told, _ = await process.communicate()
    return float(told)


def as_text(balancer: Balancer) -> tuple[str, str]:
    """What the kernel would show as text, where there is none to show it."""
    lines = ["IP Virtual Server version 1.2.1 (size=4096)"]
    known = balancer.snapshot().kernel
    for key, virtual in (known.services if known else {}).items():
        address, port = str(key).rpartition("/")[2].split(":")
        lines.append(f"TCP  {int(ip_address(address)):08X}:{int(port):04X} rr")
        lines += [
            f"  -> {int(server.address):08X}:{server.port:04X}      Masq    1      0          0"
            for server in virtual.servers
        ]
    return "\n".join(lines), "\n\n 1 2 3 4 5\n"


class Watch:
    """Runs one thing after the other, and notes seconds and lateness of each."""

    def __init__(self, lateness: Lateness) -> None:
        self.lateness = lateness
        self.figures: Figures = {}

    async def during(self, name: str, work: Callable[[], Awaitable[float | None]]) -> None:
        """Note how long *work* takes (or says it took), and how late the loop was."""
        await asyncio.sleep(0.1)
        self.lateness.take()
        start = time.perf_counter()
        took = await work()
        took = time.perf_counter() - start if took is None else took
        await asyncio.sleep(0.1)
        worst, held = self.lateness.take()
        self.figures[name] = took, worst, held
        mark = "   over 50 ms" if worst > BUDGET else ""
        late = f"late {worst * 1000:6.1f} ms, own CPU {held * 1000:6.1f} ms"
        print(f"  {name:<44} {took:8.3f} s   {late}{mark}", flush=True)


async def reconciled(balancer: Balancer, times: int) -> None:
    """Wait for further comparisons with the kernel."""
    for _ in range(times):
        before = balancer.snapshot().reconciled
        while balancer.snapshot().reconciled == before:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.05)


async def take_down(prober: Answering, balancer: Balancer, share: int) -> None:
    """Let every *share*th server fail."""
    probes = [*balancer.snapshot().probes][::share]
    prober.held.update(probes)
    for probe in probes:
        while probe not in prober.under_way:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
        prober.answer(probe, REFUSED)
        await asyncio.sleep(0)
    await asyncio.sleep(1)


def metrics(balancer: Balancer, *, kernel: bool) -> Metrics:
    """What Prometheus reads of *balancer*."""
    text = read_text if kernel else partial(as_text, balancer)
    return Metrics(balancer, counts=Counts(), traffic=Traffic(), read_text=text)


async def measure(options: argparse.Namespace, folder: Path) -> Figures:
    config, socket = folder / "lb.yaml", folder / "api.sock"
    config.write_text(config_text(options.services, options.servers, interval=20, fall=1))
    prober, lateness = Answering(), Lateness()
    with edges(loopback=not options.kernel) as (writer, reader):
        async with (
            balancing(config, folder, writer, reader, prober) as balancer,
            serving(balancer, socket, more=[metrics(balancer, kernel=options.kernel).route]),
        ):
            watching = asyncio.create_task(lateness.watch())
            watch = Watch(lateness)
            await reconciled(balancer, 2)
            start = time.perf_counter()
            gc.collect()
            print(f"  (a full collection takes {time.perf_counter() - start:.3f} s)")
            settle_down()
            await watch.during("probing, with 2 comparisons", lambda: reconciled(balancer, 2))
            await watch.during("probing, a minute", lambda: asyncio.sleep(options.minute))
            for question in QUESTIONS:
                await watch.during(f"GET {question}", partial(ask, socket, question))
            for encoding in ("identity", "gzip"):
                work = partial(scrape, socket, encoding)
                await watch.during(f"GET /metrics, {encoding}", work)
            await watch.during("every fifth server fails", lambda: take_down(prober, balancer, 5))
            for question in QUESTIONS:
                name = f"GET {question}, a fifth down"
                await watch.during(name, partial(ask, socket, question))
            await watch.during("reload, nothing changed", balancer.reload)
            config.write_text(config.read_text().replace("s17-3,", "s17-3x,"))
            await watch.during("reload, one server changed", balancer.reload)
            await watch.during("and the comparison after it", lambda: reconciled(balancer, 1))
            watching.cancel()
    return watch.figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=20, help="of each service")
    parser.add_argument("--minute", type=float, default=60, help="seconds of probing alone")
    parser.add_argument("--kernel", action="store_true", help="the IPVS of this kernel")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    leave_network()
    gc.set_threshold(100_000)  # as the command line does
    prepare()
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        figures = asyncio.run(measure(options, Path(folder)))
    save(options.json, {"seconds and lateness": figures})


if __name__ == "__main__":
    main()
