"""The decision on one virtual service, from the standings of its servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ipvs_lb.model.config import OnDown
from ipvs_lb.model.identity import ServerKey
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import VirtualService
from ipvs_lb.policy.drains import drains, floor
from ipvs_lb.policy.inputs import NO_MEMORY, Drain, Inputs, Memory
from ipvs_lb.policy.members import Layout, Member, Seat
from ipvs_lb.policy.ramp import ramped
from ipvs_lb.policy.rulings import Rule, Ruling, ServiceDecision, earliest
from ipvs_lb.policy.standing import Condition, Standing, order_for, standing
from ipvs_lb.policy.tiers import Assembly, assemble

_AT_ONCE = frozenset({Rule.FORCED_UP, Rule.SET_WEIGHT, Rule.PANIC})
"""An operator's word and an emergency are not slowed down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Court:
    """All that the rulings of one service are made from."""

    layout: Layout
    inputs: Inputs
    assembly: Assembly
    floor: int
    drains: Mapping[ServerKey, Drain]
    serving: Mapping[ServerKey, float | None]


def decide_service(layout: Layout, inputs: Inputs) -> ServiceDecision:
    """The decision on one virtual service; those of others have no part in it."""
    policy = layout.declared.policy
    return settle(layout, [standing(seat, policy, inputs) for seat in layout.seats], inputs)


def settle(layout: Layout, standings: Sequence[Standing], inputs: Inputs) -> ServiceDecision:
    """The decision on one virtual service whose servers have these *standings*, in the order of its seats."""
    memory = inputs.memory.get(layout.key, NO_MEMORY)
    assembly = assemble(layout, standings, memory)
    court = _Court(
        layout=layout,
        inputs=inputs,
        assembly=assembly,
        floor=floor(layout, assembly),
        drains=drains(layout, assembly, inputs, memory),
        serving=_serving(layout, assembly, memory, inputs.now),
    )
    pairs = zip(layout.seats, assembly.standings, strict=True)
    declared = [_rule(court, seat, one) for seat, one in pairs]
    removed = sorted(_removed(court), key=lambda ruling: ruling.member.order())
    servers = _servers(court, declared, removed)
    rulings = (*declared, *removed)
    return ServiceDecision(
        key=layout.key,
        virtual=VirtualService(layout.declared.service, servers),
        rulings=rulings,
        tier=assembly.tier,
        healthy=assembly.healthy,
        counted=assembly.counted,
        panicking=assembly.panicking,
        live=assembly.live,
        quorum_lost=assembly.quorum_lost,
        memory=_remember(court, servers, rulings, memory),
        wake_at=earliest([one.until for one in rulings] + _expiries(layout, inputs)),
    )


def _serving(
    layout: Layout, assembly: Assembly, memory: Memory, now: float
) -> dict[ServerKey, float | None]:
    """The servers that get new connections, with the start of their slow start.

    There is none for servers present at the service's first decision, nor where no other server carries the load.
    """
    chosen = [
        (seat.member.server, standing.rule)
        for seat, standing in zip(layout.seats, assembly.standings, strict=True)
        if standing.condition is Condition.ABLE and standing.weight
        if seat.server.tier == assembly.tier
    ]
    serving: dict[ServerKey, float | None] = dict.fromkeys(key for key, _ in chosen)
    if layout.declared.policy.slow_start is None or serving.keys().isdisjoint(memory.serving):
        return serving
    exempt = memory.awaited | {key for key, rule in chosen if rule in _AT_ONCE}
    for key in serving:
        begun = None if key in exempt else now
        serving[key] = _believable(memory.serving.get(key, begun), now)
    return serving


def _believable(start: float | None, now: float) -> float | None:
    """A start that lies ahead was recorded by a clock that has been set back since."""
    return None if start is not None and start > now else start


_Outcome = tuple[Rule, int | None, float | None]  # the rule, the weight in the kernel, until when


def _rule(court: _Court, seat: Seat, standing: Standing) -> Ruling:
    rule, weight, until = _outcome(court, seat, standing)
    return Ruling(
        member=seat.member,
        name=seat.server.name,
        tier=seat.server.tier,
        rule=rule,
        weight=weight,
        rest=standing.weight,
        until=until,
    )


def _outcome(court: _Court, seat: Seat, standing: Standing) -> _Outcome:
    if standing.condition is Condition.ABLE:
        if seat.server.tier == court.floor:
            return _served(court, seat, standing)
        return _stood_back(court, seat, standing)
    if standing.condition is Condition.DRAINING:
        return _drained(standing.rule, court.drains[seat.member.server], standing.until)
    keeps = court.layout.declared.policy.on_down is OnDown.QUIESCE
    keeps = keeps and seat.server.tier <= court.floor
    if keeps and standing.condition in {Condition.FAILING, Condition.BARRED}:
        return standing.rule, 0, standing.until
    return standing.rule, None, standing.until


def _served(court: _Court, seat: Seat, standing: Standing) -> _Outcome:
    slow_start = court.layout.declared.policy.slow_start
    if slow_start is not None and standing.rule not in _AT_ONCE:
        start = court.serving.get(seat.member.server)
        if start is not None:
            weight, more = ramped(standing.weight, start, slow_start, court.inputs.now)
            if more is not None:
                return Rule.SLOW_START, weight, more
    return standing.rule, standing.weight, standing.until


def _stood_back(court: _Court, seat: Seat, standing: Standing) -> _Outcome:
    drain = court.drains.get(seat.member.server)
    if drain is None or drain.ended:
        return Rule.STANDBY, None, standing.until
    return _drained(Rule.STEPPING_BACK, drain, standing.until)


def _drained(rule: Rule, drain: Drain, until: float | None) -> _Outcome:
    if drain.ended:
        return rule, None, until
    return rule, 0, earliest([until, drain.deadline])


def _removed(court: _Court) -> Iterator[Ruling]:
    records = court.inputs.removed.get(court.layout.key)
    if not records:
        return
    declared = {seat.member.server for seat in court.layout.seats}
    for key in records.keys() - declared:
        rule, weight, until = _drained(Rule.REMOVED, court.drains[key], None)
        yield Ruling(
            member=Member(court.layout.key, key),
            name=str(key),
            tier=court.layout.first_tier,
            rule=rule,
            weight=weight,
            rest=0,
            until=until,
        )


def _servers(
    court: _Court, declared: Sequence[Ruling], removed: Sequence[Ruling]
) -> dict[ServerKey, Server]:
    seats = court.layout.seats
    servers = {
        ruling.member.server: _weighing(seat.settings, ruling.weight)
        for seat, ruling in zip(seats, declared, strict=True)
        if ruling.weight is not None
    }
    for ruling in removed:
        if ruling.weight is not None:
            record = court.inputs.removed[court.layout.key][ruling.member.server]
            servers[ruling.member.server] = _weighing(record.server, ruling.weight)
    return servers


def _weighing(server: Server, weight: int) -> Server:
    return server if server.weight == weight else replace(server, weight=weight)


def _remember(
    court: _Court, servers: Mapping[ServerKey, Server], rulings: Sequence[Ruling], memory: Memory
) -> Memory:
    awaited = {one.member.server for one in rulings if one.rule is Rule.AWAITED}
    return Memory(
        decided=True,
        quorum_lost=court.assembly.quorum_lost,
        present=frozenset(servers),
        serving=court.serving,
        awaited=frozenset(awaited & memory.awaited if memory.decided else awaited),
        drains=court.drains,
    )


def _expiries(layout: Layout, inputs: Inputs) -> list[float | None]:
    """When orders end that do not show in a ruling, as that of a weight for a server that is down."""
    if not inputs.overrides:
        return []
    orders = (order_for(seat, inputs) for seat in layout.seats if not seat.server.disabled)
    return [order.expires for order in orders if order is not None]
