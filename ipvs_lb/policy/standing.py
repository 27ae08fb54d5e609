"""What one server would be if it were alone: its own declaration, operator, agent and checks."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ipvs_lb.health import NEW, NOTHING_REPORTED, Health, Status, clamped
from ipvs_lb.model.config import DeclaredServer, FlapDamping, HealthPolicy
from ipvs_lb.model.results import AgentMode
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy.damping import held_until
from ipvs_lb.policy.inputs import Inputs
from ipvs_lb.policy.members import Seat
from ipvs_lb.policy.rulings import Rule


class Condition(enum.Enum):
    """How a server comes into its service's decision."""

    ABLE = enum.auto()  # may serve
    FAILING = enum.auto()  # its checks are against it; panic does not believe them
    AWAITED = enum.auto()  # nothing is known of it yet
    BARRED = enum.auto()  # told to stay out, which panic respects
    DRAINING = enum.auto()  # told to empty gently, which panic respects too
    DISABLED = enum.auto()  # declared, and no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A server's condition, the rule behind it, and the weight it would serve with.

    `until`: when the rule ends by itself. `since`: when a drain was asked for.
    """

    condition: Condition
    rule: Rule
    weight: int
    until: float | None = None
    since: float | None = None


def standing(seat: Seat, policy: HealthPolicy, inputs: Inputs) -> Standing:
    """The standing of *seat*: disabled before override before agent before damping before checks."""
    server = seat.server
    if server.disabled:
        return Standing(condition=Condition.DISABLED, rule=Rule.DISABLED, weight=server.weight)
    override = order_for(seat, inputs)
    if override is not None and override.action in _ORDERS:
        condition, rule = _ORDERS[override.action]
        return Standing(
            condition=condition,
            rule=rule,
            weight=server.weight,
            until=override.expires,
            since=override.since,
        )
    health = [inputs.health.get(probe, NEW) for probe in seat.probes]
    able = _able(server, health, override)
    return _asked(health, able) or _checked(health, policy, inputs.now, able)


def order_for(seat: Seat, inputs: Inputs) -> Override | None:
    """The override of *seat* that is in force."""
    if not inputs.overrides:
        return None
    override = inputs.overrides.get(seat.member)
    return override if override is not None and override.is_in_force(inputs.now) else None


_ORDERS = {
    Action.UP: (Condition.ABLE, Rule.FORCED_UP),
    Action.DOWN: (Condition.BARRED, Rule.FORCED_DOWN),
    Action.DRAIN: (Condition.DRAINING, Rule.DRAIN),
}


def verdict(health: Sequence[Health], required: int | None) -> Status:
    """What several checks say together when *required* (None: all) of them must be up."""
    needed = len(health) if required is None else min(required, len(health))
    up = sum(one.status is Status.UP for one in health)
    if up >= needed:
        return Status.UP
    possible = sum(one.status is not Status.DOWN for one in health)
    return Status.UNKNOWN if possible >= needed else Status.DOWN


def _asked(health: Sequence[Health], able: Standing) -> Standing | None:
    """What the server's agent asks to be done with it."""
    if all(one.reported is NOTHING_REPORTED for one in health):
        return None
    modes = {one.reported.mode: one.reported.mode_since for one in health}
    if AgentMode.MAINT in modes:
        return replace(able, condition=Condition.BARRED, rule=Rule.AGENT_MAINT, until=None)
    if AgentMode.DRAIN in modes:
        return replace(
            able,
            condition=Condition.DRAINING,
            rule=Rule.AGENT_DRAIN,
            until=None,
            since=modes[AgentMode.DRAIN],
        )
    return None


def _checked(
    health: Sequence[Health], policy: HealthPolicy, now: float, able: Standing
) -> Standing:
    status = verdict(health, policy.required)
    if status is Status.UNKNOWN:
        return replace(able, condition=Condition.AWAITED, rule=Rule.AWAITED, until=None)
    if status is Status.DOWN:
        return replace(able, condition=Condition.FAILING, rule=Rule.FAILING, until=None)
    held = _held(health, policy.flap_damping, now)
    if held is not None:
        return replace(able, condition=Condition.FAILING, rule=Rule.DAMPED, until=held)
    return able


def _held(health: Sequence[Health], damping: FlapDamping | None, now: float) -> float | None:
    """When the last hold ends that flap damping puts on the server now."""
    if damping is None:
        return None
    holds = (held_until(one.changes, damping) for one in health)
    return max((until for until in holds if until is not None and now < until), default=None)


def _able(server: DeclaredServer, health: Sequence[Health], override: Override | None) -> Standing:
    """The server serving, with the weight it then has."""
    if override is not None and override.weight is not None:
        weight, rule, until = clamped(override.weight), Rule.SET_WEIGHT, override.expires
        return Standing(condition=Condition.ABLE, rule=rule, weight=weight, until=until)
    return able_with(*(_reported(server, health) or _declared(server)))


@lru_cache(maxsize=1024)
def able_with(weight: int, rule: Rule) -> Standing:
    """A server that may serve; most servers share one of a few such values."""
    return Standing(condition=Condition.ABLE, rule=rule, weight=weight)


def _reported(server: DeclaredServer, health: Sequence[Health]) -> tuple[int, Rule] | None:
    """The least of the weights that passing checks gave, times the least of their percentages."""
    said = [
        one.reported
        for one in health
        if one.reported is not NOTHING_REPORTED and one.status is Status.UP
    ]
    weights = [one.weight for one in said if one.weight is not None]
    percents = [one.percent for one in said if one.percent is not None]
    if not weights and not percents:
        return None
    weight = min(weights, default=server.weight) * min(percents, default=100)
    return clamped(-(-weight // 100)), Rule.REPORTED_WEIGHT  # rounded up: 1 % of 10 is not nothing


def _declared(server: DeclaredServer) -> tuple[int, Rule]:
    if not server.weight:
        return 0, Rule.ZERO_WEIGHT
    return server.weight, Rule.HEALTHY if server.checks else Rule.UNCHECKED
