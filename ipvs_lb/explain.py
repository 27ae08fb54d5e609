"""Why a server is out, or in with this weight, and what changes that: a decision in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ipvs_lb.amounts import duration, plural
from ipvs_lb.health import NEW, Health, Status
from ipvs_lb.model.checks import method_name
from ipvs_lb.model.config import QuorumAction
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result
from ipvs_lb.overrides import Override
from ipvs_lb.policy.inputs import Inputs
from ipvs_lb.policy.members import Layout
from ipvs_lb.policy.rulings import Rule, Ruling, ServiceDecision, VipRuling
from ipvs_lb.policy.tiers import regained_at

_TAKE_BACK = "`ipvs-lb enable` takes the override back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One server's state, the reasons for it, and what would change it: sentences without a full stop."""

    state: str
    why: tuple[str, ...]
    change: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """The decision on one service, to be explained server by server; none of it looks at the other servers.

    *inputs* are those that led to the decision; with the last *results* of the probes, failures are told in detail.
    """

    layout: Layout
    decision: ServiceDecision
    inputs: Inputs
    results: Mapping[Probe, Result] = field(default_factory=dict)

    def explain(self, ruling: Ruling, probes: Sequence[Probe]) -> Explanation:
        """Why the server of *ruling*, which has these *probes*, is where it is, and what changes that."""
        case = _Case(
            hearing=self,
            layout=self.layout,
            decision=self.decision,
            ruling=ruling,
            probes=probes,
            inputs=self.inputs,
            results=self.results,
        )
        why, change = _SENTENCES[ruling.rule](case)
        return Explanation(state=_state(ruling), why=tuple(why), change=tuple(change))

    @cached_property
    def regained(self) -> int:
        """How many healthy servers bring the service's quorum back: counted once for all of them."""
        quorum = self.layout.declared.policy.quorum
        assert quorum is not None  # noqa: S101  # asked of services that have lost it
        return regained_at(quorum, self.layout)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A ruling with everything that led to it."""

    hearing: Hearing
    layout: Layout
    decision: ServiceDecision
    ruling: Ruling
    probes: Sequence[Probe]
    inputs: Inputs
    results: Mapping[Probe, Result]

    @property
    def override(self) -> Override:
        return self.inputs.overrides[self.ruling.member]

    def health(self, probe: Probe) -> Health:
        return self.inputs.health.get(probe, NEW)

    def ago(self, time: float) -> str:
        return duration(max(0.0, self.inputs.now - time))

    def ahead(self, time: float) -> str:
        return duration(time - self.inputs.now)


Lines = tuple[Sequence[str], Sequence[str]]


def explain(
    layout: Layout,
    decision: ServiceDecision,
    server: ServerKey,
    inputs: Inputs,
    results: Mapping[Probe, Result] | None = None,
) -> Explanation:
    """Why *server* is where *decision* puts it, and what changes that.

    For many servers of one service make one `Hearing`. Raises KeyError when the decision does not know the server.
    """
    rulings = {ruling.member.server: ruling for ruling in decision.rulings}
    probes = {seat.member.server: seat.probes for seat in layout.seats}
    hearing = Hearing(layout=layout, decision=decision, inputs=inputs, results=results or {})
    return hearing.explain(rulings[server], probes.get(server, ()))


def explain_vip(
    ruling: VipRuling,
    services: Mapping[ServiceKey, ServiceDecision],
    layouts: Mapping[ServiceKey, Layout],
) -> tuple[str, ...]:
    """Why a VIP is up or down, and for each service that keeps it down, what brings it back."""
    if ruling.is_up:
        return (f"{ruling.address} is up",)
    return (
        f"{ruling.address} is withdrawn",
        *(_inability(layouts[key], services[key]) for key in ruling.because),
    )


def _state(ruling: Ruling) -> str:
    return "out" if ruling.weight is None else f"in with weight {ruling.weight}"


def _check_name(probe: Probe) -> str:
    target = probe.target if probe.target.port else probe.target.address
    through = "" if probe.through is None else f" through {probe.through}"
    return f"{method_name(probe.check.method)} check of {target}{through}"


def _disabled(_case: _Case) -> Lines:
    return ["it is disabled in the configuration"], ["take `disabled` out of the configuration"]


def _ordered(case: _Case, what: str) -> str:
    order = case.override
    who = f" by {order.who}" if order.who else ""
    reason = f": {order.reason}" if order.reason else ""
    return f"{what}{who} {case.ago(order.since)} ago{reason}"


def _order_ends(case: _Case) -> Iterator[str]:
    yield _TAKE_BACK
    if case.override.expires is not None:
        yield f"it expires in {case.ahead(case.override.expires)}"


def _forced_down(case: _Case) -> Lines:
    return [_ordered(case, "taken out")], [*_order_ends(case)]


def _forced_up(case: _Case) -> Lines:
    why = [_ordered(case, "kept in whatever its checks say"), *_statuses(case)]
    return why, [*_order_ends(case)]


def _set_weight(case: _Case) -> Lines:
    return [_ordered(case, "weight set"), *_statuses(case)], [*_order_ends(case), *_threats(case)]


def _drain(case: _Case) -> Lines:
    why = _ordered(case, "told to drain")
    if case.ruling.weight is None:
        return [why, "the drain is over"], [*_order_ends(case)]
    return [why, _left(case)], [_end_of_drain(case), *_order_ends(case)]


def _left(case: _Case) -> str:
    connections = case.inputs.connections.get(case.ruling.member)
    if connections is None:
        return "the number of its connections is not known yet"
    return f"{plural(connections, 'connection')} left"


def _end_of_drain(case: _Case) -> str:
    deadline = case.decision.memory.drains[case.ruling.member.server].deadline
    return f"it goes when no connection is left, in {case.ahead(deadline)} at the latest"


def _agent_says(case: _Case, mode: str) -> str:
    said = [health for probe in case.probes if (health := case.health(probe)).reported.mode == mode]
    reason = f": {said[0].reported.reason}" if said[0].reported.reason else ""
    return f"its agent says {mode} since {case.ago(said[0].reported.mode_since)}{reason}"


_READY = "its agent has to say ready"


def _agent_maint(case: _Case) -> Lines:
    return [_agent_says(case, "maint")], [_READY]


def _agent_drain(case: _Case) -> Lines:
    why = _agent_says(case, "drain")
    if case.ruling.weight is None:
        return [why, "the drain is over"], [_READY]
    return [why, _left(case)], [_end_of_drain(case), _READY]


def _awaited(case: _Case) -> Lines:
    waiting = [probe for probe in case.probes if case.health(probe).status is Status.UNKNOWN]
    why = [f"{_check_name(probe)} has no result yet{_last(case, probe)}" for probe in waiting]
    return [*_required(case), *why], ["the first result decides"]


def _last(case: _Case, probe: Probe) -> str:
    result = case.results.get(probe)
    if result is None or result.error is None:
        return ""
    detail = f" ({result.detail})" if result.detail else ""
    return f": {result.error}{detail}"


def _failing(case: _Case) -> Lines:
    down = [probe for probe in case.probes if case.health(probe).status is Status.DOWN]
    return [*_required(case), *_statuses(case)], [_recovery(case, probe) for probe in down]


def _required(case: _Case) -> Iterator[str]:
    number = len(case.probes)
    if number > 1:
        required = case.layout.declared.policy.required
        needed = number if required is None else min(required, number)
        up = sum(case.health(probe).status is Status.UP for probe in case.probes)
        yield f"{needed} of its {number} checks must be up, {up} now"


def _statuses(case: _Case) -> Iterator[str]:
    for probe in case.probes:
        health = case.health(probe)
        if health.status is Status.UNKNOWN:
            yield f"{_check_name(probe)} has no result yet"
        elif health.adopted:
            yield f"{_check_name(probe)} is believed up because the server was serving already"
        else:
            since = case.ago(health.since)
            yield f"{_check_name(probe)} is {health.status} since {since}{_last(case, probe)}"


def _recovery(case: _Case, probe: Probe) -> str:
    rise, streak = probe.check.rise, case.health(probe).streak
    return f"{_check_name(probe)} is up after {_in_a_row(rise, 'success', 'successes', streak)}"


def _threats(case: _Case) -> Iterator[str]:
    for probe in case.probes:
        health = case.health(probe)
        if health.status is Status.UP:
            failures = _in_a_row(probe.check.fall, "failure", "failures", health.streak)
            yield f"{_check_name(probe)} is down after {failures}"


def _in_a_row(needed: int, one: str, many: str, so_far: int) -> str:
    if needed == 1:
        return f"1 {one}"
    return f"{needed} {many} in a row, {so_far} so far"


def _damped(case: _Case) -> Lines:
    damping = case.layout.declared.policy.flap_damping
    assert damping is not None  # noqa: S101  # there is no hold without it
    until = case.ruling.until
    assert until is not None  # noqa: S101  # every hold ends
    why = f"held down: its checks changed {damping.changes} times within {duration(damping.window)}"
    return [why, *_statuses(case)], [f"the hold ends in {case.ahead(until)}"]


def _panic(case: _Case) -> Lines:
    decision, threshold = case.decision, case.layout.declared.policy.panic_threshold
    why = (
        f"{decision.healthy} of {plural(decision.counted, 'server')} healthy is below the panic threshold of"
        f" {threshold:.0%}, so the checks are not believed"
    )
    return [why, *_statuses(case)], [
        f"the panic ends when {threshold:.0%} of the servers are healthy"
    ]


def _standby(case: _Case) -> Lines:
    return [_other_tier(case)], [_tier_change(case)]


def _stepping_back(case: _Case) -> Lines:
    return [_other_tier(case), _left(case)], [_end_of_drain(case), _tier_change(case)]


def _other_tier(case: _Case) -> str:
    tier, serving = case.ruling.tier, case.decision.tier
    if serving is None:
        return f"no server has weight, so its tier {tier} waits like the others"
    if serving < tier:
        return f"it is a backup of tier {tier}, and tier {serving} serves"
    live = plural(case.decision.live, "server")
    return f"tier {serving} serves in place of tier {tier}, which {_lacks(case, live)}"


def _lacks(case: _Case, live: str) -> str:
    quorum = case.layout.declared.policy.quorum
    if quorum is not None and case.decision.quorum_lost and case.decision.live:
        return f"has lost its quorum of {quorum.servers} with {live}"
    return "has no server with weight"


def _tier_change(case: _Case) -> str:
    quorum, serving = case.layout.declared.policy.quorum, case.decision.tier
    if serving is not None and serving < case.ruling.tier:
        return "it serves when no lower tier can"
    if quorum is not None and case.decision.live:
        return f"its tier serves again with {plural(case.hearing.regained, 'healthy server')}"
    return "its tier serves when one of its servers has weight"


def _slow_start(case: _Case) -> Lines:
    until = case.ruling.until
    assert until is not None  # noqa: S101  # every step is followed by one
    why = f"it came back and starts slowly: {case.ruling.weight} of weight {case.ruling.rest}"
    return [why], [f"the next step is in {case.ahead(until)}", *_threats(case)]


def _reported(case: _Case) -> Lines:
    return [f"weight {case.ruling.rest} reported by its checks"], [*_threats(case)]


def _zero(_case: _Case) -> Lines:
    return ["it is declared with weight 0"], [
        "declare a weight above 0, or `ipvs-lb weight` sets one"
    ]


def _unchecked(_case: _Case) -> Lines:
    return ["it has no checks, so it is believed healthy"], ["only an operator takes it out"]


def _healthy(case: _Case) -> Lines:
    return [*_required(case), *_statuses(case)], [*_threats(case)]


def _removed(case: _Case) -> Lines:
    why = "it is not in the configuration any more"
    if case.ruling.weight is None:
        return [why, "the drain is over"], []
    return [why, _left(case)], [_end_of_drain(case)]


def _inability(layout: Layout, decision: ServiceDecision) -> str:
    quorum = layout.declared.policy.quorum
    if decision.quorum_lost and quorum is not None and quorum.action is QuorumAction.WITHDRAW:
        return (
            f"{decision.key} has {plural(decision.live, 'healthy server')} of a quorum of {quorum.servers},"
            f" and needs {regained_at(quorum, layout)}"
        )
    return f"{decision.key} has no server with weight, and needs one"


_SENTENCES: Mapping[Rule, Callable[[_Case], Lines]] = {
    Rule.DISABLED: _disabled,
    Rule.FORCED_DOWN: _forced_down,
    Rule.FORCED_UP: _forced_up,
    Rule.SET_WEIGHT: _set_weight,
    Rule.DRAIN: _drain,
    Rule.AGENT_MAINT: _agent_maint,
    Rule.AGENT_DRAIN: _agent_drain,
    Rule.AWAITED: _awaited,
    Rule.FAILING: _failing,
    Rule.DAMPED: _damped,
    Rule.PANIC: _panic,
    Rule.STANDBY: _standby,
    Rule.STEPPING_BACK: _stepping_back,
    Rule.SLOW_START: _slow_start,
    Rule.REPORTED_WEIGHT: _reported,
    Rule.ZERO_WEIGHT: _zero,
    Rule.UNCHECKED: _unchecked,
    Rule.HEALTHY: _healthy,
    Rule.REMOVED: _removed,
}
