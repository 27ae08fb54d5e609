"""Reloading a large configuration of which a little has changed, while the daemon goes on probing.

    ./scripts/guest --mem 3G --timeout 500 python -m benchmarks.reload               # against the kernel's own IPVS
    ./scripts/guest --mem 3G --timeout 500 python -m benchmarks.reload --keepalived  # and keepalived beside it
    python -m benchmarks.reload --without-kernel                                     # natively, where there is no IPVS

A whole daemon without its API: YAML file, balancer, state file, probes on their schedule, IPVS. Only the probes'
answers are made up, or it would take 40,000 servers. `--without-kernel` keeps the table in memory, so that reading
and writing it cost next to nothing: everything else is what it is.

A reload counts from the call: until the new configuration decides (`in force`), until the kernel has the change, and
until the new state is written down. Lateness is how much later than asked a task ran that sleeps 5 ms again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.measure import leave_network, machine, save
from ipvs_lb.config import Loader
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.engine.parts import Parts
from ipvs_lb.events import Event
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result
from ipvs_lb.wiring import open_daemon

SIZES = ((200, 20), (2000, 20))
NAP = 0.005
PATIENCE = 120.0
RECONCILED = 12.0  # seconds until the daemon has compared the table once more
Figures = dict[str, float]


@dataclass
class Declaration:
    """Services that can be changed one by one, as the configuration of either tool."""

    services: int
    servers: int
    weights: dict[tuple[int, int], int] = field(default_factory=dict)
    removed: set[tuple[int, int]] = field(default_factory=set)
    extra: int = 0

    def numbers(self) -> Iterator[int]:
        """Services, the added ones first."""
        yield from range(self.services + self.extra - 1, self.services - 1, -1)
        yield from range(self.services)

    def members(self, service: int) -> Iterator[tuple[str, int]]:
        """Address and weight of every server of *service*."""
        for n in range(self.servers):
            if (service, n) not in self.removed:
                address = f"10.{100 + service % 50}.{service // 50 % 250}.{n + 1}"
                yield address, self.weights.get((service, n), 1)

    def yaml(self) -> str:
        """For ipvs-lb; nobody's addresses are touched (`managed: false`)."""
        lines = ["version: 1", "defaults:", "  health_check: {interval: 60s}"]
        lines += ["  service: {health_check: {type: tcp}}", "services:"]
        for number in self.numbers():
            vip, port = place(number)
            lines += [f"  - name: service-{number}", f"    vip: {{address: {vip}, managed: false}}"]
            lines += [f"    port: {port}", "    scheduler: rr", "    servers:"]
            lines += [
                f"      - {{name: s{number}-{n}, address: {address}, weight: {weight}}}"
                for n, (address, weight) in enumerate(self.members(number))
            ]
        return "\n".join(lines) + "\n"

    def keepalived(self) -> str:
        """For keepalived, with a check of each server that is not due during the run."""
        parts = ["global_defs {\nlvs_flush\n}\n"]
        check = "TCP_CHECK {\nconnect_timeout 3\nwarmup 3600\ndelay_loop 3600\n}"
        for number in self.numbers():
            vip, port = place(number)
            reals = "\n".join(
                f"real_server {address} {port} {{\nweight {weight}\n{check}\n}}"
                for address, weight in self.members(number)
            )
            head = f"virtual_server {vip} {port} {{\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\n"
            parts.append(f"{head}{reals}\n}}\n")
        return "".join(parts)


def place(number: int) -> tuple[str, int]:
    """Four services on every VIP."""
    vip = number // 4
    return f"10.{200 + vip // 62500}.{vip // 250 % 250}.{vip % 250 + 1}", 8000 + number % 4


Change = tuple[str, Callable[[Declaration], None]]


def changes(services: int) -> list[Change]:
    """One at a time, on top of each other."""
    middle = services // 2

    def weight(declaration: Declaration) -> None:
        declaration.weights[middle, 7] = declaration.weights.get((middle, 7), 1) + 1

    def add(declaration: Declaration) -> None:
        declaration.extra += 1

    def remove(declaration: Declaration) -> None:
        declaration.removed.add((middle, 3 + len(declaration.removed)))

    return [
        ("one weight changed", weight),
        ("one service added at the top", add),
        ("one server removed", remove),
        ("the same weight again", weight),
    ]


class Ready:
    """Answers every probe at once: implements `ipvs_lb.ports.Prober`."""

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        handle = asyncio.get_running_loop().call_soon(done, Result())
        return handle.cancel


@dataclass
class Lateness:
    """The worst that the event loop was kept from a task that was due."""

    worst: float = 0.0

    async def watch(self) -> None:
        while True:
            due = time.perf_counter() + NAP
            await asyncio.sleep(NAP)
            self.worst = max(self.worst, time.perf_counter() - due)


@contextlib.asynccontextmanager
async def balancing(parts: Parts) -> AsyncIterator[Balancer]:
    balancer = Balancer(parts)
    await balancer.start()
    task = asyncio.create_task(balancer.run())
    try:
        await balancer.begun()
        yield balancer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def parts_without_kernel(parts: Parts) -> Parts:
    from tests.fake_host import FakeHost
    from tests.fake_kernel import FakeKernel

    return replace(parts, kernel=FakeKernel(), reader=None, host=FakeHost())


async def measure(
    declaration: Declaration, folder: Path, *, without_kernel: bool
) -> dict[str, Figures]:
    """A daemon's start, and a reload for each change."""
    path = folder / "lb.yaml"
    path.write_text(declaration.yaml())
    loader = Loader(path)
    lateness = Lateness()
    with open_daemon(loader.load, str(path), folder / "state") as real:
        parts = replace(real, prober=Ready())
        if without_kernel:
            parts = parts_without_kernel(parts)
        began, cpu = time.perf_counter(), time.process_time()
        async with balancing(parts) as balancer:
            await until(lambda: recorded(balancer) == 1)
            await until(lambda: all(view.history for view in balancer.snapshot().probes.values()))
            await until(quiet(balancer))
            figures = {"start": {"in force": time.perf_counter() - began}}
            figures["start"] |= {"cpu": time.process_time() - cpu, "rss": rss()}
            await asyncio.sleep(RECONCILED)
            watching = asyncio.create_task(lateness.watch())
            for name, change in changes(declaration.services):
                change(declaration)
                await asyncio.to_thread(lambda: path.write_text(declaration.yaml()))
                await asyncio.sleep(1.0)
                lateness.worst = 0.0
                await asyncio.sleep(2.0)
                before = {"worst lateness before": lateness.worst}
                figures[name] = await reload(balancer, lateness) | before
            figures["start"]["rss after"] = rss()
            watching.cancel()
    return figures


async def reload(balancer: Balancer, lateness: Lateness) -> Figures:
    applied = asyncio.Event()
    when: list[float] = []

    def told(event: Event) -> None:
        if event.name == "config.loaded":
            when.clear()
            applied.clear()
        if event.name == "plan.applied":
            when.append(time.perf_counter())
            applied.set()

    forget = balancer.subscribe(told)
    number = recorded(balancer)
    lateness.worst = 0.0
    start, cpu = time.perf_counter(), time.process_time()
    await balancer.reload()
    in_force = time.perf_counter() - start
    cpu_in_force = time.process_time() - cpu
    await asyncio.wait_for(applied.wait(), PATIENCE)
    await until(lambda: recorded(balancer) > number)
    written = time.perf_counter() - start
    cpu_written = time.process_time() - cpu
    await asyncio.sleep(1.0)  # what follows by itself, as a collection of garbage
    forget()
    return {
        "in force": in_force,
        "in the kernel": when[0] - start,
        "written down": written,
        "cpu, in force": cpu_in_force,
        "cpu, written down": cpu_written,
        "worst lateness": lateness.worst,
    }


def quiet(balancer: Balancer) -> Callable[[], bool]:
    """Whether nothing has been told for a second."""
    seen = (0.0, -1)

    def reached() -> bool:
        nonlocal seen
        now, last = time.perf_counter(), balancer.snapshot().last_event
        if last != seen[1]:
            seen = (now, last)
        return now - seen[0] > 1.0

    return reached


def recorded(balancer: Balancer) -> int:
    generation = balancer.snapshot().generation
    return 0 if generation is None else generation.number


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not reached():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.05)


def rss() -> float:
    """Resident MB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def keepalived(declaration: Declaration, folder: Path) -> dict[str, Figures]:
    """The same changes by SIGHUP; the time until a look at the one service shows the change."""
    path = folder / "keepalived.conf"
    path.write_text(declaration.keepalived())
    command = [
        "keepalived",
        "-n",
        "-C",
        "-f",
        path,
        "-p",
        folder / "pid",
        "-c",
        folder / "checkers",
    ]
    process = subprocess.Popen(
        [*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: rows() == declaration.services * (1 + declaration.servers))
        figures = {}
        for name, change in changes(declaration.services):
            time.sleep(2.0)
            change(declaration)
            path.write_text(declaration.keepalived())
            before, start = shown(declaration), time.perf_counter()
            process.send_signal(signal.SIGHUP)
            wait_for(lambda before=before: shown(declaration) != before)  # type: ignore[misc]  # mypy: a default
            figures[name] = {"in the kernel": time.perf_counter() - start}
        return figures
    finally:
        process.terminate()
        process.wait()


def rows() -> int:
    return len(
        subprocess.run(["ipvsadm", "-Sn"], capture_output=True, check=True).stdout.splitlines()
    )


def shown(declaration: Declaration) -> str:
    """What the kernel has of the services that change."""
    numbers = (declaration.services // 2, declaration.services)
    places = (place(number) for number in numbers)
    return "".join(
        subprocess.run(
            ["ipvsadm", "-Ln", "-t", f"{vip}:{port}"], capture_output=True, text=True, check=False
        ).stdout
        for vip, port in places
    )


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError("keepalived did not get there")
        time.sleep(NAP)


def show(title: str, figures: dict[str, Figures]) -> None:
    print(title)
    for name, values in figures.items():
        print(f"  {name}")
        for what, value in values.items():
            unit = "MB" if what.startswith("rss") else "ms"
            print(f"    {what:<24} {value if unit == 'MB' else value * 1000:9.1f} {unit}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, help="instead of 200 and 2,000")
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--without-kernel", action="store_true", help="a table in memory")
    parser.add_argument("--keepalived", action="store_true", help="keepalived too")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    sizes = [(options.services, options.servers)] if options.services else SIZES
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print("table in memory, no IPVS" if options.without_kernel else "the kernel's own IPVS")
    if not options.without_kernel:
        leave_network()
    results: dict[str, dict[str, Figures]] = {}
    for services, servers in sizes:
        title = f"{services:,} services x {servers} servers"
        with tempfile.TemporaryDirectory() as folder:
            results[title] = asyncio.run(
                measure(
                    Declaration(services, servers),
                    Path(folder),
                    without_kernel=options.without_kernel,
                )
            )
        show(title, results[title])
        if options.keepalived:
            leave_network()
            with tempfile.TemporaryDirectory() as folder:
                name = f"{title}, keepalived"
                results[name] = keepalived(Declaration(services, servers), Path(folder))
            show(name, results[name])
    save(options.json, dict(results))


if __name__ == "__main__":
    main()
