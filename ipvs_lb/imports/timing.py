"""Times of other programs' checks as ours: what has to be adjusted so that a probe ends before the next one begins."""

from __future__ import annotations

from dataclasses import dataclass

from ipvs_lb.config.values import DAY, duration_text
from ipvs_lb.model.checks import HealthCheck, Method
from ipvs_lb.model.identity import IPAddress, Port

_LEAST = 0.1
_SHARE = 0.9
"""How much of the interval a probe may take whose own time is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds between checks, between checks of a server that begins to fail, and for one check; failures to go down."""

    interval: float
    fast_interval: float
    timeout: float
    fall: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a check goes and comes from; None is the server's own."""

    address: IPAddress | None = None
    port: Port | None = None
    source: IPAddress | None = None
    mark: int = 0


def fitted(timing: Timing) -> tuple[Timing, list[str]]:
    """*timing* within the limits of a configuration, and what had to be changed for that."""
    interval = min(max(timing.interval, 2 * _LEAST), DAY)
    timeout = max(timing.timeout, _LEAST)
    if timeout >= interval:
        timeout = max(round(interval * _SHARE, 3), _LEAST)
    fast = min(max(timing.fast_interval, _LEAST), interval)
    fall = min(max(timing.fall, 1), 1000)
    told = []
    if interval != timing.interval:
        told.append(f"interval {duration_text(interval)} instead of {timing.interval:g} s")
    if timeout != timing.timeout:
        told.append(
            f"timeout {duration_text(timeout)} instead of {timing.timeout:g} s: "
            f"it must be below the interval, {duration_text(interval)}"
        )
    if fall != timing.fall:
        told.append(f"{fall} failures take it down instead of {timing.fall}")
    return Timing(interval=interval, fast_interval=fast, timeout=timeout, fall=fall), told


def checked(method: Method, timing: Timing, target: Target) -> HealthCheck:
    """The check of *method*; one success brings a server up, as with the programs that are imported from."""
    return HealthCheck(
        method=method,
        interval=timing.interval,
        fast_interval=timing.fast_interval,
        timeout=timing.timeout,
        rise=1,
        fall=timing.fall,
        address=target.address,
        port=target.port,
        source=target.source,
        mark=target.mark,
    )
