"""Whether a gateway does its work, in one word with the reasons: what a monitor asks. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ipvs_lb.amounts import duration
from ipvs_lb.api.states import State, state_of
from ipvs_lb.engine.control import Snapshot
from ipvs_lb.explain import explain_vip
from ipvs_lb.policy import ServiceDecision, VipRuling
from ipvs_lb.serial import JSON

HEALTH_SCHEMA = "ipvs_lb/health/1"
MAX_REASONS = 50
STALE = 120.0
"""Seconds after which the last successful comparison with the kernel is too long ago."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """What is broken for clients, and what is not as it should be."""

    failing: tuple[str, ...]
    degraded: tuple[str, ...]

    @property
    def status(self) -> str:
        """`failing`, `degraded` or `fine`."""
        if self.failing:
            return "failing"
        return "degraded" if self.degraded else "fine"


def reasons(snapshot: Snapshot) -> Reasons:
    """Everything that is wrong with the gateway, the worst first."""
    return Reasons(tuple(_failing(snapshot)), tuple(_degraded(snapshot)))


def health_to_json(snapshot: Snapshot) -> dict[str, JSON]:
    """The health of the gateway, with the first `MAX_REASONS` reasons."""
    found = reasons(snapshot)
    told = [*found.failing, *found.degraded]
    more = len(told) - MAX_REASONS
    if more > 0:
        told = [*told[:MAX_REASONS], f"and {more} more"]
    return {"schema": HEALTH_SCHEMA, "status": found.status, "reasons": [*told]}


def vip_words(snapshot: Snapshot, vip: VipRuling) -> tuple[str, ...]:
    """Whether a VIP is up, and why not; right after a reload, services that kept it down may be gone."""
    services = snapshot.decision.services
    known = tuple(key for key in vip.because if key in services)
    if vip.because and not known:
        return (f"{vip.address} is withdrawn", "it is being decided anew")
    return explain_vip(replace(vip, because=known), services, snapshot.layouts)


def _failing(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.kernel_error is not None:
        yield f"the kernel cannot be asked: {snapshot.kernel_error}"
    for key, decision in snapshot.decision.services.items():
        if not decision.serves:
            yield f"{snapshot.layouts[key].declared.name} ({key}) has no server for new connections"
    for vip in snapshot.decision.vips.values():
        if not vip.is_up:
            said, *why = vip_words(snapshot, vip)
            yield f"{said}: {'; '.join(why)}" if why else said


def _degraded(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.config_error:
        more = len(snapshot.config_error) - 1
        refused = f"the last reload was refused: {snapshot.config_error[0]}"
        yield f"{refused} (and {more} more)" if more else refused
    reconciled = snapshot.started if snapshot.reconciled is None else snapshot.reconciled
    if snapshot.kernel_error is None and snapshot.at - reconciled > STALE:
        ago = duration(snapshot.at - reconciled)
        yield f"the kernel was last compared with what is wanted {ago} ago"
    for key, decision in snapshot.decision.services.items():
        name = f"{snapshot.layouts[key].declared.name} ({key})"
        first = snapshot.layouts[key].first_tier
        yield from (f"{name} {what}" for what in _weaknesses(decision, first))


def _weaknesses(decision: ServiceDecision, first_tier: int) -> Iterator[str]:
    if decision.panicking:
        yield f"does not believe its checks: {decision.healthy} of {decision.counted} servers healthy"
    if decision.quorum_lost and decision.serves:
        yield "has lost its quorum"
    if decision.tier is not None and decision.tier > first_tier:
        yield f"is served by its backup tier {decision.tier}"
    down = sum(state_of(ruling) is State.DOWN for ruling in decision.rulings)
    if down:
        yield f"has {down} of {len(decision.rulings)} servers down"
