"""A whole gateway in this process for measurements: the real balancer, codec, store and host; probes answer as told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.loopback import kernels
from ipvs_lb.addresses import LinuxHost
from ipvs_lb.commands import Command
from ipvs_lb.config import Loader
from ipvs_lb.daemon.rest import keep
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.engine.parts import Parts
from ipvs_lb.model.config import Config
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result, Timings
from ipvs_lb.netlink import NetlinkKernel
from ipvs_lb.ports import Kernel
from ipvs_lb.store import SqliteStore

PASSED = Result(detail="status 200", timings=Timings(connect=0.0004, first_byte=0.001, total=0.002))
REFUSED = Result(error=ErrorClass.REFUSED, detail="nothing listens there")
_ANSWER_TIME = 0.002
_TICK = 0.002


def config_text(services: int, servers: int, *, interval: float, fall: int = 3) -> str:
    """A configuration of *services* x *servers*, every server with a check of its own."""
    check = f"{{type: http, path: /health, interval: {interval:g}s, timeout: 500ms, rise: 1, fall: {fall}}}"
    lines = [
        "version: 1",
        "daemon: {reconcile_interval: 10s}",
        "services:",
    ]
    for number in range(services):
        lines += [
            f"  - name: service-{number}",
            "    vip: {address: 10.200.0.1, managed: false}",
            f"    port: {1000 + number}",
            f"    health_check: {check}",
            "    servers:",
        ]
        lines += [
            f"      - {{name: s{number}-{n}, address: 10.{100 + number // 250}.{number % 250}.{n + 1}}}"
            for n in range(servers)
        ]
    return "\n".join(lines) + "\n"


def _loaded(loader: Loader) -> Config:
    """As `ipvs_lb.daemon.life` loads it."""
    config = loader.load()
    keep()
    return config


class Answering:
    """Passes every probe after 2 ms, but holds those of `held` until `answer` says how they end."""

    def __init__(self) -> None:
        self.held: set[Probe] = set()
        self.under_way: dict[Probe, Callable[[Result], None]] = {}
        self.count = 0

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        """As `ipvs_lb.ports.Prober` says."""
        self.count += 1
        if probe in self.held:
            self.under_way[probe] = done
            return lambda: self.under_way.pop(probe, None) and None
        return asyncio.get_running_loop().call_later(_ANSWER_TIME, done, PASSED).cancel

    def answer(self, probe: Probe, result: Result) -> float:
        """End the execution of a held *probe* that is under way; returns when that was (perf_counter)."""
        done = self.under_way.pop(probe)
        at = time.perf_counter()
        done(result)
        return at


class Watched:
    """A kernel that notes when it had carried out commands."""

    def __init__(self, kernel: NetlinkKernel) -> None:
        self._kernel = kernel
        self.read, self.statistics, self.info = kernel.read, kernel.statistics, kernel.info
        self.executed: list[tuple[float, Sequence[Command]]] = []

    def execute(self, commands: Sequence[Command]) -> None:
        """As `ipvs_lb.ports.Kernel` says."""
        self._kernel.execute(commands)
        self.executed.append((time.perf_counter(), commands))


@contextlib.contextmanager
def edges(*, loopback: bool) -> Iterator[tuple[NetlinkKernel, NetlinkKernel]]:
    """Two connections to this namespace's IPVS, or to a table in another process."""
    made = kernels(2)[0] if loopback else [NetlinkKernel(), NetlinkKernel()]
    try:
        yield made[0], made[1]
    finally:
        for kernel in made:
            kernel.close()


@contextlib.asynccontextmanager
async def balancing(
    config: Path, folder: Path, writer: Kernel, reader: Kernel, prober: Answering
) -> AsyncIterator[Balancer]:
    """A running balancer that has compared the kernel once."""
    began, start = time.time(), time.monotonic()
    store = SqliteStore(folder / "state.db")
    with LinuxHost() as host, ThreadPoolExecutor(4, "ipvs-lb") as threads:
        balancer = Balancer(
            Parts(
                load=partial(_loaded, Loader(config)),
                origin=str(config),
                kernel=writer,
                reader=reader,
                host=host,
                store=store,
                records=store,
                prober=prober,
                clock=lambda: began + time.monotonic() - start,
                threads=threads,
            )
        )
        await balancer.start()
        running = asyncio.create_task(balancer.run(), name="balancer")
        await balancer.begun()
        try:
            yield balancer
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


class Lateness:
    """How late a task is that wants to run every 2 ms: the longest since last asked.

    On a busy machine that says little; what the loop used of a CPU itself meanwhile says who is to blame.
    """

    def __init__(self) -> None:
        self.worst = self.held = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            due, cpu = time.perf_counter() + _TICK, time.thread_time()
            await asyncio.sleep(_TICK)
            self.worst = max(self.worst, time.perf_counter() - due)
            self.held = max(self.held, time.thread_time() - cpu)

    def take(self) -> tuple[float, float]:
        """The worst so far, and the most CPU the loop itself used between two looks; then begin anew."""
        taken = self.worst, self.held
        self.worst = self.held = 0.0
        return taken
