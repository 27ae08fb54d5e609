"""Writing and comparing large tables: ipvsadm, pyroute2 and ipvs_lb on the same kernel, in one run.

    ./scripts/guest python -m benchmarks.apply                 # 1,000 services x 20 servers
    ./scripts/guest python -m benchmarks.apply --growth        # 1,000 / 10,000 / 100,000 servers

Ratios are what counts: a guest kernel's absolute times mean little.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Report, apart, leave_network, machine, save, seconds
from ipvs_lb.config import load
from ipvs_lb.ipvsadm.save import render
from ipvs_lb.model.identity import AddressKey
from ipvs_lb.model.table import Table
from ipvs_lb.netlink import NetlinkKernel
from ipvs_lb.plan import plan
from ipvs_lb.policy import effective

IPVSADM_WRITE, IPVSADM_READ = "ipvsadm -R", "ipvsadm -Sn"
KERNEL, PROCESS = "ipvs_lb kernel step", "ipvs-lb apply, whole process"
RECONCILE, AGAIN = "ipvs_lb no-op", "ipvs_lb no-op, again as the daemon does"
PYROUTE2 = "pyroute2, a tenth of it"
RATIOS: dict[str, tuple[str, str, float | None]] = {
    "kernel step / ipvsadm -R": (KERNEL, IPVSADM_WRITE, 0.15),
    "whole process / ipvsadm -R": (PROCESS, IPVSADM_WRITE, 0.8),
    "no-op reconcile / ipvsadm -Sn": (RECONCILE, IPVSADM_READ, 1.0),
    "no-op reconcile, again / ipvsadm -Sn": (AGAIN, IPVSADM_READ, 1.0),
}


def yaml_config(services: int, servers: int) -> str:
    """A config of *services* x *servers*; nobody's addresses are touched (`managed: no`)."""
    lines = ["version: 1", "services:"]
    for number in range(services):
        vip, port = f"10.{200 + number // 4000}.0.1", 1000 + number % 4000
        lines += [
            f"  - name: service-{number}",
            f"    vip: {{address: {vip}, managed: false}}",
            f"    port: {port}",
            "    scheduler: rr",
            "    servers:",
        ]
        lines += [
            f"      - {{name: s{n}, address: 10.{100 + number % 50}.{number // 50 % 250}.{n + 1}}}"
            for n in range(servers)
        ]
    return "\n".join(lines) + "\n"


def write_with_ipvsadm(rules: str) -> None:
    subprocess.run(["ipvsadm", "-R"], input=rules, text=True, check=True)


def read_with_ipvsadm() -> None:
    subprocess.run(["ipvsadm", "-Sn"], stdout=subprocess.DEVNULL, check=True)


def write_with_pyroute2(table: Table) -> None:
    from pyroute2 import IPVS, IPVSDest, IPVSService

    with IPVS() as ipvs:
        for key, value in table.services.items():
            assert isinstance(key, AddressKey)
            service = IPVSService(
                addr=str(key.address), port=key.port, protocol=int(key.protocol), sched_name="rr"
            )
            ipvs.service("add", service=service)
            for server_key in value.servers:
                address = str(server_key.address)
                dest = IPVSDest(addr=address, port=server_key.port, weight=1, fwd_method=0)
                ipvs.dest("add", service=service, dest=dest)


def apply_process(config: Path, state: Path) -> None:
    command = [sys.executable, "-m", "ipvs_lb", "apply", "-c", config, "--state-dir", state]
    subprocess.run([*map(str, command)], stdout=subprocess.DEVNULL, check=True)


def kernel_step(desired: Table) -> None:
    with NetlinkKernel() as kernel:
        kernel.execute(plan(Table(), desired))


def reconcile(desired: Table) -> None:
    with NetlinkKernel() as kernel:
        compare_with(kernel, desired)


def compare_with(kernel: NetlinkKernel, desired: Table) -> None:
    difference = plan(kernel.read(), desired)
    if difference:
        raise AssertionError(f"{len(difference)} differences, the first: {difference[0]}")


def compare(services: int, servers: int, rounds: int, *, with_pyroute2: bool) -> Report:
    """Every tool in turn, *rounds* times, each in a network namespace of its own.

    Servers that were removed linger in the kernel's trash and slow down every addition for two
    minutes: a table that was emptied is not like one that was never filled.
    """
    report = Report(f"{services:,} services x {servers} servers")
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        config = Path(folder) / "lb.yaml"
        config.write_text(yaml_config(services, servers))
        desired = effective(load(config))
        rules = render(desired)

        def ipvsadm() -> Iterator[tuple[str, float]]:
            yield IPVSADM_WRITE, seconds(lambda: write_with_ipvsadm(rules))
            yield IPVSADM_READ, seconds(read_with_ipvsadm)
            plan(desired, desired)  # a forked process copies its memory when it first touches it
            with NetlinkKernel() as kernel:
                yield RECONCILE, seconds(lambda: compare_with(kernel, desired))
                yield AGAIN, seconds(lambda: compare_with(kernel, desired))

        def step() -> Iterator[tuple[str, float]]:
            yield KERNEL, seconds(lambda: kernel_step(desired))
            reconcile(desired)

        def process() -> Iterator[tuple[str, float]]:
            state = Path(tempfile.mkdtemp(dir=folder))
            yield PROCESS, seconds(lambda: apply_process(config, state))
            reconcile(desired)

        def pyroute2() -> Iterator[tuple[str, float]]:
            tenth = Table(dict(list(desired.services.items())[: services // 10]))
            yield PYROUTE2, seconds(lambda: write_with_pyroute2(tenth))
            reconcile(tenth)

        for _ in range(rounds):
            for work in (ipvsadm, step, process):
                report.add_all(apart(work))
        if with_pyroute2:
            report.add_all(apart(pyroute2))
    return report


def grow(rounds: int) -> dict[str, dict[str, float]]:
    """The same at three sizes, each in a process of its own so that memory is its own."""
    sizes = {}
    for services in (50, 500, 5000):
        command = [sys.executable, "-m", "benchmarks.apply", "--one-size", str(services)]
        report = Report(f"{services * 20:,} servers")
        for _ in range(rounds):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            apply_s, noop_s, memory = map(float, done.stdout.split()[-3:])
            report.add("write", apply_s)
            report.add("no-op reconcile", noop_s)
            report.add("peak memory, MB", memory)
        sizes[report.title] = {name: report.median(name) for name in report.rounds}
        print(report.text({}))
    return sizes


def one_size(services: int) -> None:
    """Print seconds to write, seconds of a no-op reconcile and peak MB for one size."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        config = Path(folder) / "lb.yaml"
        config.write_text(yaml_config(services, 20))
        desired = effective(load(config))
    leave_network()
    took = seconds(lambda: kernel_step(desired))
    noop = seconds(lambda: reconcile(desired))
    print(took, noop, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-pyroute2", action="store_true", help="leave the slowest out")
    parser.add_argument("--growth", action="store_true", help="1,000 / 10,000 / 100,000 servers")
    parser.add_argument("--one-size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if options.one_size:
        one_size(options.one_size)
        return
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    if options.growth:
        save(options.json, {"growth": grow(options.rounds)})
        return
    report = compare(
        options.services,
        options.servers,
        options.rounds,
        with_pyroute2=not options.no_pyroute2,
    )
    print(report.text(RATIOS))
    ratios = {label: report.ratio(name, ref) for label, (name, ref, _) in RATIOS.items()}
    save(options.json, {"title": report.title, "rounds": report.rounds, "ratios": ratios})


if __name__ == "__main__":
    main()
