"""What every benchmark shares: rounds, medians, ratios, and the machine they were seen on."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import statistics
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # linux/sched.h


def seconds(work: Callable[[], object]) -> float:
    """The wall-clock seconds that *work* takes once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def leave_network() -> None:
    """Move this process into a network namespace of its own, with its loopback up (unshare(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def apart(work: Callable[[], Iterable[tuple[str, float]]]) -> list[tuple[str, float]]:
    """What *work* measures in a process and a network namespace of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            leave_network()
            os.write(writing, json.dumps(list(work())).encode())
        except BaseException:  # noqa: BLE001  # the parent is told by the status
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"a measurement ended with status {status}")
    return [(str(name), float(value)) for name, value in json.loads(answer)]


def machine() -> dict[str, str]:
    """Processor, kernel, Python and date: what a figure is worth nothing without."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if "model" in line]
    return {
        "processor": next((model for model in models if not model.isdigit()), platform.machine()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


@dataclass
class Report:
    """Rounds of named measurements, printed as medians and as ratios to a named reference."""

    title: str
    rounds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Record one round of *name*, and say so at once: a benchmark is long."""
        self.rounds.setdefault(name, []).append(value)
        print(f"  {name:<44} {value:9.3f} s", flush=True)

    def add_all(self, rounds: Iterable[tuple[str, float]]) -> None:
        """Record several."""
        for name, value in rounds:
            self.add(name, value)

    def median(self, name: str) -> float:
        """The median of the rounds of *name*, in seconds."""
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, reference: str) -> float:
        """The median of *name* divided by the median of *reference*."""
        return self.median(name) / self.median(reference)

    def text(self, ratios: Mapping[str, tuple[str, str, float | None]]) -> str:
        """The medians, then each ratio with its budget where it has one."""
        count = max(map(len, self.rounds.values()))
        lines = [f"{self.title} (median of {count})"]
        lines += [f"  {name:<44} {self.median(name):9.3f} s" for name in self.rounds]
        for label, (name, reference, budget) in ratios.items():
            limit = "" if budget is None else f"   budget {budget}"
            lines.append(f"  {label:<44} {self.ratio(name, reference):9.3f} x{limit}")
        return "\n".join(lines)


def save(path: Path | None, values: Mapping[str, object]) -> None:
    """Write *values* with the machine they were seen on as JSON, when a path is given."""
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), **values}, indent=2) + "\n")
