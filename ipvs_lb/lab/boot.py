"""What a guest kernel is asked to do, and how one is started: the values between guest and kernels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipvs_lb.errors import LabError

_UNITS = {"M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command for one guest: its folder on the host, its memory, where its output goes.

    `control` is a socket that is a further serial line of the guest's.
    """

    folder: Path
    memory: str
    out: int
    err: int
    control: int | None = None

    @property
    def memory_bytes(self) -> int:
        """The guest's memory in bytes."""
        return parse_memory(self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """The program that is the guest, and what it needs in its environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def parse_memory(text: str) -> int:
    """Bytes of `512M` or `2G`. Raises LabError for anything else."""
    match = re.fullmatch(r"([1-9]\d*)([MG])", text)
    if match is None:
        raise LabError(f"memory {text!r} is not a size like 512M or 2G")
    return int(match[1]) * _UNITS[match[2]]
