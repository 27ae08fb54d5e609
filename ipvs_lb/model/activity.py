"""What a running gateway has done since it started, counted: values of one moment, for whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ipvs_lb.model.results import ErrorClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Measured values by size: `counts` of those up to each of `bounds`, then of those above all; their sum is `total`."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeActivity:
    """Probes of one type of check: how long they took, in seconds, and what came of them (None: they passed)."""

    durations: Distribution
    results: Mapping[ErrorClass | None, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """All of it. `probes` by the word for the type of check.

    `comparisons`: seconds that those of the whole kernel table took which succeeded. `kernel_failures` and
    `host_failures` count every time something could not be read or done, also when it was told once.
    """

    probes: Mapping[str, ProbeActivity] = field(default_factory=dict)
    comparisons: Distribution | None = None
    kernel_failures: int = 0
    host_failures: int = 0


NO_ACTIVITY = Activity()
