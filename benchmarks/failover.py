"""From a deciding probe result to the changed kernel table, and from a server's death to the client that is spared it.

    python -m benchmarks.failover                                  # natively: the table is in another process
    ./scripts/guest --mem 3G --timeout 900 python -m benchmarks.failover --kernel
    ./scripts/guest --mem 2G --timeout 300 python -m benchmarks.failover --death

The first two hand results to the real balancer (whose other servers are being probed meanwhile, and whose table is
compared every ten seconds) and note when the kernel had acknowledged the change: with `--kernel` that is the IPVS of
this machine or guest. Without it, everything up to the socket is the real thing, but what answers is
`benchmarks.loopback`, a process that keeps the table; a kernel answers faster.

`--death` stops real servers of `ipvs-lb run` and of keepalived in turn, with the same settings on the same kernel, and
asks through the VIP as a client.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.death import compare_deaths
from benchmarks.gateway import (
    PASSED,
    REFUSED,
    Answering,
    Lateness,
    Watched,
    balancing,
    config_text,
    edges,
)
from benchmarks.measure import leave_network, machine, save
from ipvs_lb.daemon.rest import prepare, settle_down
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result

BUDGET = 0.010
OF_A_SERVICE = 20
CHECKS = 500
"""A second, of all servers together."""
_PATIENCE = 30.0
_LOOK = 0.001
Figures = dict[str, float]


async def decisions(
    prober: Answering, kernel: Watched, probes: Sequence[Probe], count: int, rate: float
) -> list[float]:
    """Seconds from each of *count* deciding results to the kernel's acknowledgement.

    The servers of *probes* fail and come back in turn, at random times that keep step with nothing.
    """
    dice = random.Random(5)
    prober.held.update(probes)
    taken: list[float] = []
    down: set[Probe] = set()
    while len(taken) < count:
        await asyncio.sleep(dice.expovariate(rate))
        waiting = [*prober.under_way]
        if waiting:
            probe = dice.choice(waiting)
            down ^= {probe}
            taken.append(
                await _decided(prober, kernel, probe, REFUSED if probe in down else PASSED)
            )
    return taken


async def _decided(prober: Answering, kernel: Watched, probe: Probe, result: Result) -> float:
    seen, text = len(kernel.executed), str(probe.target)
    at = prober.answer(probe, result)
    async with asyncio.timeout(_PATIENCE):
        while True:
            for when, commands in kernel.executed[seen:]:
                if any(text in str(command) for command in commands):
                    return when - at
            await asyncio.sleep(_LOOK)


async def measure(servers: int, options: argparse.Namespace, folder: Path) -> Figures:
    config = folder / "lb.yaml"
    services = max(1, servers // OF_A_SERVICE)
    interval = max(1, servers / CHECKS)
    config.write_text(config_text(services, min(servers, OF_A_SERVICE), interval=interval, fall=1))
    prober, lateness = Answering(), Lateness()
    with edges(loopback=not options.kernel) as (writer, reader):
        kernel = Watched(writer)
        async with balancing(config, folder, kernel, reader, prober) as balancer:
            settled = asyncio.create_task(lateness.watch())
            await _all_in(balancer, servers)
            settle_down()
            lateness.take()
            every = max(1, servers // 1000)
            probes = [*balancer.snapshot().probes][::every]
            taken = await decisions(prober, kernel, probes, options.decisions, options.rate)
            settled.cancel()
    worst, held = lateness.take()
    return {**_summary(taken), "loop late": worst, "loop's own CPU in one go": held}


async def _all_in(balancer: Balancer, servers: int) -> None:
    while True:
        known = balancer.snapshot().kernel
        found = known.services.values() if known is not None else ()
        if sum(len(virtual.servers) for virtual in found) == servers:
            await asyncio.sleep(1)
            return
        await asyncio.sleep(0.1)


def _summary(taken: Sequence[float]) -> Figures:
    ordered = sorted(taken)
    return {
        "p50": statistics.median(ordered),
        "p90": ordered[int(0.90 * (len(ordered) - 1))],
        "p99": ordered[int(0.99 * (len(ordered) - 1))],
        "max": ordered[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 1000, 10_000])
    parser.add_argument("--decisions", type=int, default=500)
    parser.add_argument("--rate", type=float, default=15, help="decisions per second")
    parser.add_argument("--kernel", action="store_true", help="the IPVS of this kernel")
    parser.add_argument("--death", action="store_true", help="real servers die, beside keepalived")
    parser.add_argument("--rounds", type=int, default=20, help="deaths")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    leave_network()
    gc.set_threshold(100_000)  # as the command line does
    prepare()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir="/run") as name:
        if options.death:
            figures["death"] = compare_deaths(Path(name), options.rounds)
        for servers in () if options.death else options.sizes:
            folder = Path(name) / str(servers)
            folder.mkdir()
            found = asyncio.run(measure(servers, options, folder))
            figures[f"{servers} servers"] = found
            shown = ", ".join(f"{what} {1000 * value:.1f}" for what, value in found.items())
            mark = "" if found["p99"] <= BUDGET else "   over the budget"
            print(f"  {servers:>6,} servers, ms: {shown}{mark}", flush=True)
    save(options.json, figures)


if __name__ == "__main__":
    main()
