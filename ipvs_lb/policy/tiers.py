"""What a service's servers decide together: panic, quorum, and the tier that serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ipvs_lb.model.config import Quorum, QuorumAction
from ipvs_lb.policy.inputs import Memory
from ipvs_lb.policy.members import Layout
from ipvs_lb.policy.rulings import Rule
from ipvs_lb.policy.standing import Condition, Standing

_COUNTED = frozenset({Condition.ABLE, Condition.FAILING, Condition.AWAITED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """A service's servers, in the order of its seats, and what they decide together."""

    standings: tuple[Standing, ...]
    healthy: int
    counted: int
    panicking: bool
    live: int
    quorum_lost: bool
    tier: int | None


def assemble(layout: Layout, standings: Sequence[Standing], memory: Memory) -> Assembly:
    """The decision of all *standings* together: panic first, then quorum, then the tier."""
    counted = [one for one in standings if one.condition in _COUNTED]
    healthy = sum(one.condition is not Condition.FAILING for one in counted)
    panicking = healthy < layout.declared.policy.panic_threshold * len(counted)
    believed = tuple(map(_disbelieved, standings)) if panicking else tuple(standings)
    tiers = [
        seat.server.tier
        for seat, one in zip(layout.seats, believed, strict=True)
        if one.condition is Condition.ABLE and one.weight
    ]
    quorum = layout.declared.policy.quorum
    live = tiers.count(layout.first_tier)
    lost = quorum is not None and _is_lost(quorum, live, layout, memory)
    falls_back = lost and quorum is not None and quorum.action is QuorumAction.BACKUP
    return Assembly(
        standings=believed,
        healthy=healthy,
        counted=len(counted),
        panicking=panicking,
        live=live,
        quorum_lost=lost,
        tier=_serving(tiers, layout.first_tier, falls_back=falls_back),
    )


def _disbelieved(standing: Standing) -> Standing:
    if standing.condition is not Condition.FAILING:
        return standing
    return replace(standing, condition=Condition.ABLE, rule=Rule.PANIC)


def _is_lost(quorum: Quorum, live: int, layout: Layout, memory: Memory) -> bool:
    if not live:
        return True
    if not memory.decided:
        return live < quorum.servers
    if memory.quorum_lost:
        return live < regained_at(quorum, layout)
    return live < quorum.servers - quorum.hysteresis


def regained_at(quorum: Quorum, layout: Layout) -> int:
    """How many servers bring a lost quorum back: never more than there are, unless the quorum itself is."""
    there = sum(
        seat.server.tier == layout.first_tier and not seat.server.disabled for seat in layout.seats
    )
    return max(quorum.servers, min(quorum.servers + quorum.hysteresis, there))


def _serving(tiers: Sequence[int], first: int, *, falls_back: bool) -> int | None:
    """The lowest tier that can serve; a first tier that is to fall back serves only when no other can."""
    backups = [tier for tier in tiers if tier != first]
    if falls_back and backups:
        return min(backups)
    return min(tiers, default=None)
