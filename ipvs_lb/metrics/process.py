"""The daemon's own process, under the names that every exporter gives to such numbers."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from ipvs_lb.metrics import families as f

_SELF = Path("/proc/self")


def cpu() -> Iterator[str]:
    """User and system time."""
    times = os.times()
    yield f.PROCESS_CPU.line(times.user + times.system)


def memory() -> Iterator[str]:
    """Resident memory."""
    pages = int((_SELF / "statm").read_text("ascii").split()[1])
    yield f.PROCESS_MEMORY.line(pages * resource.getpagesize())


def files() -> Iterator[str]:
    """Open descriptors."""
    yield f.PROCESS_FDS.line(len(os.listdir(_SELF / "fd")))  # noqa: PTH208  # Path.iterdir makes thousands of paths


def most_files() -> Iterator[str]:
    """How many descriptors there may be."""
    yield f.PROCESS_MAX_FDS.line(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
