"""What of a new decision is worth telling: changes of state, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ipvs_lb.events import Fact, Level
from ipvs_lb.policy import Member, Rule, Ruling, ServiceDecision, VipRuling

_OUT_OF_ORDER = frozenset({Rule.FAILING, Rule.DAMPED})
_UNEVENTFUL = frozenset({Rule.AWAITED, Rule.STANDBY})


@dataclass(frozen=True, slots=True)
class Story:
    """An event that has not been numbered yet; about a *member* where it is about one server."""

    name: str
    level: Level
    facts: Mapping[str, Fact]
    member: Member | None = None


def of_service(before: ServiceDecision | None, after: ServiceDecision) -> Iterator[Story]:
    """What changed for the servers of one virtual service, and for the service as a whole."""
    known = {} if before is None else {ruling.member: ruling for ruling in before.rulings}
    for ruling in after.rulings:
        yield from _of_server(known.get(ruling.member), ruling)
    for member in known.keys() - {ruling.member for ruling in after.rulings}:
        yield Story("server.removed", Level.INFO, _who(known[member]))
    if before is not None:
        yield from _of_whole(before, after)


def _of_server(before: Ruling | None, after: Ruling) -> Iterator[Story]:
    facts = {**_who(after), "weight": after.weight, "rule": after.rule.value}
    if after.rule in _OUT_OF_ORDER:
        if before is None or before.rule not in _OUT_OF_ORDER:
            yield Story("server.down", Level.WARNING, facts, after.member)
        return
    if after.rule in _UNEVENTFUL and (before is None or before.rule in _UNEVENTFUL):
        return
    if before is not None and before.rule in _OUT_OF_ORDER | {Rule.AWAITED}:
        yield Story("server.up", Level.INFO, facts)
    elif before is not None and before.rule is not after.rule:
        yield Story("server.changed", Level.INFO, {**facts, "before": before.rule.value})


def _who(ruling: Ruling) -> dict[str, Fact]:
    return {
        "service": str(ruling.member.key),
        "server": str(ruling.member.server),
        "name": ruling.name,
    }


def _of_whole(before: ServiceDecision, after: ServiceDecision) -> Iterator[Story]:
    facts: dict[str, Fact] = {"service": str(after.key), "tier": after.tier, "live": after.live}
    if before.serves != after.serves:
        level = Level.INFO if after.serves else Level.ERROR
        yield Story("service.served" if after.serves else "service.unserved", level, facts)
    if before.panicking != after.panicking:
        name = "panic.began" if after.panicking else "panic.ended"
        yield Story(name, Level.WARNING, facts)
    if before.quorum_lost != after.quorum_lost:
        name = "quorum.lost" if after.quorum_lost else "quorum.regained"
        yield Story(name, Level.WARNING, facts)
    if before.tier != after.tier and before.tier is not None and after.tier is not None:
        yield Story("tier.changed", Level.WARNING, {**facts, "before": before.tier})


def of_vip(before: VipRuling | None, after: VipRuling) -> Iterator[Story]:
    """Whether the VIP went or came back."""
    if before is None or before.is_up == after.is_up:
        return
    because = ", ".join(map(str, after.because))
    facts: dict[str, Fact] = {"vip": str(after.address), "because": because}
    if after.is_up:
        yield Story("vip.restored", Level.INFO, facts)
    else:
        yield Story("vip.withdrawn", Level.WARNING, facts)
