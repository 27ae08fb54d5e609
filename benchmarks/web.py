"""The status page at 20,000 servers in a real browser: the page's main thread, and the daemon's event loop.

    python -m benchmarks.web

The balancer, its API and the page are the real ones in one process; IPVS is a table in another (benchmarks.loopback)
with made-up rates, probes end as told. Every second a few servers fail and others come back. For each thing the page
does: its main thread's work in a second, its longest task, what came over the stream, and how long the daemon's loop was
held. The goals: under 100 ms of work a second once the page is there, and a loop that is never held for 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from asyncio import to_thread
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from benchmarks.gateway import (
    PASSED,
    REFUSED,
    Answering,
    Lateness,
    balancing,
    config_text,
    edges,
)
from benchmarks.measure import machine, save
from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.daemon.rest import prepare, settle_down
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import Port, ServiceKey
from ipvs_lb.model.table import ServiceStatistics, Statistics
from ipvs_lb.netlink import NetlinkKernel
from ipvs_lb.web import StatusPage
from tests.probes.servers import free_port
from tests.web.browser import Browser, browser

WORK = 0.1
HELD = 0.05
_TOKEN = "only-for-this-benchmark"
_WATCH = """
window.longest = 0; window.received = 0;
new PerformanceObserver(list => {
  for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration);
}).observe({type: 'longtask', buffered: false});
const decode = TextDecoder.prototype.decode;
TextDecoder.prototype.decode = function (bytes, options) {
  window.received += bytes?.byteLength ?? 0;
  return decode.call(this, bytes, options);
};
"""
_TAKE = (
    "const t = [window.longest, window.received]; window.longest = window.received = 0; return t;"
)


class Busy:
    """A kernel whose servers have traffic, another at each look."""

    def __init__(self, kernel: NetlinkKernel) -> None:
        self._kernel = kernel
        self.read, self.execute, self.info = kernel.read, kernel.execute, kernel.info

    def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """As `ipvs_lb.ports.Kernel` says."""
        counted = self._kernel.statistics(keys)
        return {key: _busy(number, one) for number, (key, one) in enumerate(counted.items())}


def _busy(number: int, counted: ServiceStatistics) -> ServiceStatistics:
    servers = {}
    for index, server in enumerate(counted.servers):
        rate = int(40 + 30 * math.sin(time.time() / 9 + index + number))
        traffic = Counters(
            connection_rate=rate, in_byte_rate=1500 * rate, out_byte_rate=30_000 * rate
        )
        servers[server] = ServerCounters(active=3 * rate, inactive=rate, traffic=traffic)
    rate = sum(one.traffic.connection_rate for one in servers.values())
    total = Counters(connection_rate=rate, in_byte_rate=1500 * rate, out_byte_rate=30_000 * rate)
    return ServiceStatistics(total, servers)


@dataclass
class Trouble:
    """Servers that fail and come back, a few every second."""

    prober: Answering
    balancer: Balancer

    async def go_on(self, at_once: int = 5) -> None:
        """Until cancelled."""
        probes = [*self.balancer.snapshot().probes]
        step = 0
        while True:
            failing = probes[step : step + at_once * 97 : 97]
            self.prober.held.update(failing)
            await asyncio.sleep(1)
            for probe in failing:
                with suppress(KeyError):
                    self.prober.answer(probe, REFUSED)
            for probe in probes[step - 1000 : step - 1000 + at_once * 97 : 97]:
                self.prober.held.discard(probe)
                with suppress(KeyError):
                    self.prober.answer(probe, PASSED)
            step += 1


@dataclass
class Watch:
    """Runs one thing after the other, and notes what it cost the page and the daemon."""

    page: Browser
    lateness: Lateness
    figures: dict[str, dict[str, float]]

    async def during(self, name: str, work: Callable[[], object]) -> None:
        """Note what *work*, in a thread, comes to."""
        await to_thread(self.page.run, _TAKE)
        before = await to_thread(self._busy)
        self.lateness.take()
        start = time.perf_counter()
        await to_thread(work)
        took = time.perf_counter() - start
        worst, held = self.lateness.take()
        busy = await to_thread(self._busy) - before
        longest, received = (one or 0 for one in await to_thread(self.page.run, _TAKE))
        self.figures[name] = {
            "seconds": took,
            "work": busy,
            "work_per_second": busy / took,
            "longest_task": longest / 1000,
            "received": received,
            "loop_late": worst,
            "loop_held": held,
        }
        print(
            f"  {name:<40} {took:6.2f} s   work {busy * 1000:7.1f} ms ({busy / took * 1000:6.1f} ms a second), "
            f"longest task {longest:5.0f} ms, {received / 1000:7.1f} kB   "
            f"loop late {worst * 1000:5.1f} ms, own CPU {held * 1000:5.1f} ms",
            flush=True,
        )

    def _busy(self) -> float:
        metrics = self.page.command("Performance.getMetrics")["metrics"]
        return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


async def use(page: Browser, url: str, watch: Watch, options: argparse.Namespace) -> None:
    """Everything somebody does with the page."""
    quiet = options.seconds

    def load() -> None:
        page.find("#token").send_keys(_TOKEN)
        page.find("#enter button").click()
        page.wait(
            lambda: (
                f"of {options.services}" in page.text(".row.service .up")
                or page.all(".row.service")
            )
        )
        page.wait(lambda: page.run("return document.querySelector('#rows').offsetHeight") > 1000)

    def scroll() -> None:
        for step in range(30):
            page.run("scrollBy(0, 1500)")
            time.sleep(0.05 if step % 10 else 0.6)
        page.run("scrollTo(0, 0)")

    def search() -> None:
        for letter in "s17-1":
            page.find("#search").send_keys(letter)
        time.sleep(0.5)
        page.run(
            "const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))"
        )

    await to_thread(page.look)
    await to_thread(page.open, url)
    await to_thread(page.run, _WATCH)
    await watch.during("signs in until the services are there", load)
    await watch.during("settles", lambda: time.sleep(3))
    await watch.during("closed services, 5 servers fail a second", lambda: time.sleep(quiet))
    await watch.during("opens all services", lambda: page.find("#unfold").click())
    await watch.during("open services, 5 servers fail a second", lambda: time.sleep(quiet))
    await watch.during("scrolls through 45,000 pixels", scroll)
    await watch.during("searches", search)
    await to_thread(page.find(".chip.down").click)
    await watch.during("servers that are down alone", lambda: time.sleep(quiet))
    if options.pictures:
        await pictures(page, options.pictures)


async def pictures(page: Browser, folder: Path) -> None:
    """What it looks like."""
    for name, chip in (("down", ".chip.down"), ("all", ".chip.all")):
        await to_thread(page.find(chip).click)
        if name == "down":
            await to_thread(page.find(chip).click)
        for dark in (False, True):
            await to_thread(page.look, dark=dark)
            await asyncio.sleep(1.5)
            await to_thread(page.picture, folder / f"{name}-{'dark' if dark else 'light'}.png")
    await to_thread(page.look, 390, 844)
    await asyncio.sleep(1)
    await to_thread(page.picture, folder / "phone.png")


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    config, port = folder / "lb.yaml", free_port()
    config.write_text(config_text(options.services, options.servers, interval=20, fall=1))
    prober, lateness, openings = Answering(), Lateness(), Openings()
    address = ip_address("127.0.0.1")
    openings.prepare([ApiListener(address=address, port=Port(port), token=_TOKEN)])
    with edges(loopback=True) as (writer, reader), browser() as page:
        async with balancing(config, folder, writer, Busy(reader), prober) as balancer:
            status = StatusPage(balancer)
            async with serving(balancer, folder / "api.sock", openings=openings, page=status):
                settle_down()
                tasks = [
                    asyncio.create_task(lateness.watch()),
                    asyncio.create_task(Trouble(prober, balancer).go_on()),
                ]
                watch = Watch(page, lateness, {})
                await to_thread(page.command, "Performance.enable")
                await watch.during("nobody looks", lambda: time.sleep(options.seconds))
                await use(page, f"http://127.0.0.1:{port}/", watch, options)
                for complaint in await to_thread(page.complaints):
                    print(f"  the console says: {complaint}")
                for task in tasks:
                    task.cancel()
    return watch.figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=20, help="of each service")
    parser.add_argument("--seconds", type=float, default=10, help="that each quiet time lasts")
    parser.add_argument("--pictures", type=Path, help="a folder for what it looks like")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    prepare()
    print(f"the status page, {options.services} x {options.servers} servers")
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(options, Path(folder)))
    quiet = {name: one for name, one in figures.items() if "fail a second" in name}
    over = [name for name, one in quiet.items() if one["work_per_second"] > WORK]
    print(f"over {WORK * 1000:.0f} ms of work a second: {', '.join(over) or 'nothing'}")
    held = [name for name, one in figures.items() if one["loop_held"] > HELD]
    print(f"the loop was held for more than {HELD * 1000:.0f} ms: {', '.join(held) or 'never'}")
    print(machine())
    save(options.json, figures)


if __name__ == "__main__":
    main()
