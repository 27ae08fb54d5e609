"""CPU per health check: ipvs_lb and keepalived's checker against the same servers, in one run.

    unshare -n python -m benchmarks.probes --without-ipvs     # natively: keepalived's IPVS calls do nothing
    ./scripts/guest --kind qemu --mem 2G --timeout 3000 python -m benchmarks.probes --rate 60
    unshare -n python -m benchmarks.probes --memory           # 10,000 probes with full histories
    unshare -n python -m benchmarks.probes --only-ours --tasks

The servers are addresses of the loopback interface with an nginx behind them, whose own time does not count; each tool
has its own nginx, where its checks are counted. All tools run at the same time, so that whatever else the machine does
falls on all of them. CPU is user + system time of the checking process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from urllib.request import urlopen

from benchmarks.measure import machine, save
from ipvs_lb.engine.monitors import Monitors
from ipvs_lb.model.checks import HealthCheck, HttpCheck, TcpCheck
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result, Target, Timings
from ipvs_lb.ports import Prober
from ipvs_lb.probes import prober as probers
from ipvs_lb.probes.probe import execute

STATUS = 10
_questions: Counter[int] = Counter()
FIRST = IPv4Address("127.1.0.1")
TIMEOUT = 3.0
_UNDER_WAY = 200
Rounds = dict[str, list[float]]
BUDGETS = {"tcp": 1.0, "http": 1.1}
NGINX = """
daemon off; pid {folder}/{port}.pid; error_log {folder}/error.log emerg; worker_processes 1;
events {{ worker_connections 16384; multi_accept on; }}
http {{
    access_log off;
    server {{ listen {port} backlog=4096; location / {{ return 200 "ok\\n"; }} }}
    server {{ listen 127.0.0.1:{status}; location / {{ stub_status; }} }}
}}
"""
KEEPALIVED_CHECK = {
    "tcp": "TCP_CHECK {{\nconnect_timeout {timeout}\n}}",
    "http": "HTTP_GET {{\nurl {{\npath /\nstatus_code 200\n}}\nconnect_timeout {timeout}\n}}",
}


def addresses(servers: int) -> list[IPv4Address]:
    return [FIRST + number + number // 250 * 6 for number in range(servers)]


@dataclass(frozen=True)
class Load:
    """*servers* that *services* virtual services have, checked *rate* times a second by each service."""

    servers: int
    kind: str
    rate: float
    services: int = 1

    @property
    def interval(self) -> float:
        return self.servers / self.rate

    def arguments(self) -> list[str]:
        return [*map(str, (self.servers, self.kind, self.rate, self.services))]


def load_of(servers: str, kind: str, rate: str, services: str) -> Load:
    return Load(int(servers), kind, float(rate), int(services))


def probes(load: Load, port: int) -> list[Probe]:
    method = TcpCheck() if load.kind == "tcp" else HttpCheck()
    check = HealthCheck(method=method, interval=load.interval, timeout=TIMEOUT)
    return [Probe(check, Target(address, Port(port))) for address in addresses(load.servers)]


def keepalived_config(load: Load, port: int) -> str:
    check = KEEPALIVED_CHECK[load.kind].format(timeout=int(TIMEOUT))
    reals = "\n".join(
        f"real_server {address} {port} {{\nweight 1\n{check}\n}}"
        for address in addresses(load.servers)
    )
    return "".join(
        f"virtual_server 10.99.{number // 250}.{number % 250 + 1} 80 {{\n"
        f"delay_loop {load.interval:.3f}\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\n{reals}\n}}\n"
        for number in range(load.services)
    )


@contextlib.contextmanager
def started(*command: str, preload: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    variables = {} if preload is None else {"LD_PRELOAD": str(preload)}
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **variables},
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def nginx(folder: Path, port: int) -> Iterator[None]:
    config = folder / f"nginx{port}.conf"
    config.write_text(NGINX.format(folder=folder, port=port, status=port + STATUS))
    with started("nginx", "-p", str(folder), "-c", str(config)):
        for _ in range(100):
            with contextlib.suppress(OSError):
                accepted(port)
                break
            time.sleep(0.1)
        yield


def accepted(port: int) -> int:
    """How many connections the servers on *port* have accepted so far, the questions left out."""
    with urlopen(f"http://127.0.0.1:{port + STATUS}/", timeout=10) as answer:
        words = answer.read().split()
    _questions[port] += 1
    return int(words[7]) - _questions[port]


def cpu_seconds(process: int) -> float:
    """User and system time of *process*, with the scheduler's own precision where it tells."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child_of(process: int) -> int:
    for _ in range(100):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.1)
    raise SystemExit("keepalived did not start its checker")


@dataclass(frozen=True)
class Contestant:
    """A running tool: its process, and the port of the servers that it checks."""

    name: str
    process: int
    port: int

    def so_far(self) -> tuple[float, int]:
        return cpu_seconds(self.process), accepted(self.port)


@contextlib.contextmanager
def keepalived(folder: Path, load: Load, port: int) -> Iterator[Contestant]:
    config = folder / "keepalived.conf"
    config.write_text(keepalived_config(load, port))
    pids = [f"-{flag}{folder}/{name}.pid" for flag, name in (("p", "parent"), ("c", "checker"))]
    library = folder / "no_ipvs.so"
    preload = library if library.exists() else None
    with started("keepalived", "-n", "-C", "-f", str(config), *pids, preload=preload) as process:
        yield Contestant("keepalived", child_of(process.pid), port)


@contextlib.contextmanager
def ours(load: Load, port: int, way: str = "ipvs_lb") -> Iterator[Contestant]:
    arguments = ["--check", way, str(port), *load.arguments()]
    with started(sys.executable, "-m", "benchmarks.probes", *arguments) as process:
        yield Contestant(way, process.pid, port)


def leave_ipvs_out(folder: Path) -> None:
    """Have `keepalived` run on a kernel without IPVS."""
    source = Path(__file__).with_name("no_ipvs.c")
    library = folder / "no_ipvs.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)


def wait_until_under_way(contestants: Sequence[Contestant]) -> None:
    """Programs take a while to start on an emulated machine."""
    for contestant in contestants:
        while accepted(contestant.port) < _UNDER_WAY:
            time.sleep(1)


def rounds_of(contestants: Sequence[Contestant], count: int, seconds: float) -> Rounds:
    """CPU microseconds per check of each, *count* times over the same *seconds*."""
    rounds: Rounds = {contestant.name: [] for contestant in contestants}
    for _ in range(count):
        before = [contestant.so_far() for contestant in contestants]
        time.sleep(seconds)
        for contestant, (cpu, checks) in zip(contestants, before, strict=True):
            cpu_now, checks_now = contestant.so_far()
            done = max(checks_now - checks, 1)
            cost, rate = (cpu_now - cpu) / done, done / seconds
            rounds[contestant.name].append(cost * 1e6)
            print(f"    {contestant.name:<12} {cost * 1e6:8.1f} us per check at {rate:.0f}/s")
        sys.stdout.flush()
    return rounds


class Tasks:
    """A prober that makes a task of every probe, for comparison."""

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        task = asyncio.create_task(execute(probe))
        task.add_done_callback(lambda ended: None if ended.cancelled() else done(ended.result()))
        return lambda: None


async def check_forever(load: Load, port: int, way: str) -> None:
    """What is measured: the monitors and their prober, as the daemon has them."""
    probers.raise_fd_limit()
    prober: Prober = Tasks() if way == "tasks" else probers.LoopProber()
    monitors = Monitors(prober, lambda _: None, clock=time.time)
    monitors.keep(dict.fromkeys(probes(load, port), load.services))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit)
    await monitors.run()


class Filling:
    """Passes the first *count* probes at once; executes the others."""

    def __init__(self, count: int) -> None:
        self.prober = probers.LoopProber()
        self.calls = 0
        self.count = count
        self.filled = asyncio.Event()

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        if self.calls == self.count:
            self.filled.set()
            return self.prober.start(probe, done)
        self.calls += 1
        done(Result(detail="status 200", timings=Timings(connect=0.1, total=self.calls / 1e6)))
        return lambda: None


async def memory_of(servers: int) -> dict[str, float]:
    """Megabytes of this process: before, with *servers* probes and full histories, and while probing them."""
    figures = {"before": megabytes()}
    filling = Filling(25 * servers)
    monitors = Monitors(filling, lambda _: None, clock=time.time)
    wanted = dict.fromkeys(probes(Load(servers, "http", servers / 2), 80), 1)
    monitors.keep(wanted)
    running = asyncio.create_task(monitors.run())
    await filling.filled.wait()
    figures["full histories"] = megabytes()
    await asyncio.sleep(30)
    figures["after 30 s of probing"] = megabytes()
    figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    running.cancel()
    return figures


def megabytes() -> float:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def compare(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    figures: dict[str, object] = {}
    for servers in options.sizes:
        for kind in options.kinds:
            load = Load(servers, kind, options.rate)
            with contextlib.ExitStack() as stack:
                running = [stack.enter_context(ours(load, 80))]
                if options.tasks:
                    running.append(stack.enter_context(ours(load, 81, "tasks")))
                if not options.only_ours:
                    running.append(stack.enter_context(keepalived(folder, load, 82)))
                wait_until_under_way(running)
                time.sleep(min(load.interval, options.warm) + options.settle)
                rounds = rounds_of(running, options.rounds, options.window)
            figures[f"{servers} {kind}"] = rounds
            _tell(f"{servers:,} servers, {kind}", rounds, BUDGETS[kind])
    return figures


def _tell(title: str, rounds: Rounds, budget: float) -> None:
    medians = {name: statistics.median(values) for name, values in rounds.items()}
    shown = ", ".join(f"{name} {median:.1f} us" for name, median in medians.items())
    print(f"  {title}: {shown}", flush=True)
    if "keepalived" in medians:
        ratio = medians["ipvs_lb"] / medians["keepalived"]
        print(f"  {title}: ratio {ratio:.2f}, budget {budget}", flush=True)


def shared(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """CPU seconds per second of both, when *services* virtual services have the same servers."""
    services, servers = options.services, 200
    load = Load(servers, "tcp", options.rate / services, services)
    with ours(load, 80) as one, keepalived(folder, load, 82) as other:
        wait_until_under_way([one, other])
        time.sleep(load.interval + options.settle)
        before = [cpu_seconds(contestant.process) for contestant in (one, other)]
        time.sleep(options.window)
        figures = {
            contestant.name: (cpu_seconds(contestant.process) - cpu) / options.window
            for contestant, cpu in zip((one, other), before, strict=True)
        }
    print(f"  {services} services over the same {servers} servers, tcp, CPU seconds per second:")
    for name, value in figures.items():
        print(f"    {name:<12} {value:8.4f}")
    print(f"    ratio {figures['ipvs_lb'] / figures['keepalived']:.3f}, 1/V {1 / services:.3f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 5000, 20_000])
    parser.add_argument("--kinds", nargs="+", choices=list(BUDGETS), default=list(BUDGETS))
    parser.add_argument("--rate", type=float, default=300, help="checks per second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=float, default=20, help="seconds measured")
    parser.add_argument("--warm", type=float, default=20, help="seconds before, at most")
    parser.add_argument("--settle", type=float, default=5, help="seconds before, at least")
    parser.add_argument("--services", type=int, default=0, help="V services over the same servers")
    parser.add_argument("--memory", action="store_true", help="megabytes at 10,000 probes")
    parser.add_argument("--only-ours", action="store_true", help="leave keepalived out")
    parser.add_argument("--without-ipvs", action="store_true", help="on a kernel without IPVS")
    parser.add_argument("--tasks", action="store_true", help="a task for every probe as well")
    parser.add_argument("--check", nargs=6, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if options.check:
        way, port, *load = options.check
        asyncio.run(check_forever(load_of(*load), int(port), way))
        return
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    figures: dict[str, object] = {}
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir="/run"))
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        if options.without_ipvs:
            leave_ipvs_out(Path(name))
        for port in (80, 81, 82):
            stack.enter_context(nginx(Path(name), port))
        if options.memory:
            figures["memory"] = asyncio.run(memory_of(10_000))
            print(figures["memory"])
        elif options.services:
            figures["shared"] = shared(options, Path(name))
        else:
            figures |= compare(options, Path(name))
    save(options.json, figures)


if __name__ == "__main__":
    main()
