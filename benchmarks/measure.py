"""What every benchmark shares: rounds, medians, ratios, and the machine they were seen on."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


def seconds(work: Callable[[], object]) -> float:
    """The wall-clock seconds that *work* takes once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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
