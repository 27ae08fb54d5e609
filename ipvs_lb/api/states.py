"""What a server is doing, in one word to see at a glance and to filter by."""

from __future__ import annotations

import enum

from ipvs_lb.policy import Rule, Ruling


class State(enum.StrEnum):
    """One word for a ruling; the rule says more.

    up: it takes new connections. idle: it is in with weight 0 and nobody wants it out. draining, drained: on its way
    out, and gone. down: its checks, its agent or an operator are against it. unknown: no result yet. standby: another
    tier serves. disabled: by the configuration. foreign: in the kernel, but not declared here.
    """

    UP = "up"
    IDLE = "idle"
    DRAINING = "draining"
    DRAINED = "drained"
    DOWN = "down"
    UNKNOWN = "unknown"
    STANDBY = "standby"
    DISABLED = "disabled"
    FOREIGN = "foreign"


_OF_RULE = {
    Rule.DISABLED: State.DISABLED,
    Rule.FORCED_DOWN: State.DOWN,
    Rule.AGENT_MAINT: State.DOWN,
    Rule.FAILING: State.DOWN,
    Rule.DAMPED: State.DOWN,
    Rule.AWAITED: State.UNKNOWN,
    Rule.STANDBY: State.STANDBY,
}
_DRAINS = frozenset({Rule.DRAIN, Rule.AGENT_DRAIN, Rule.REMOVED})


def state_of(ruling: Ruling) -> State:
    """The state that *ruling* puts its server in."""
    if ruling.rule is Rule.HEALTHY and ruling.weight:  # nearly all of them, and 20,000 are many
        return State.UP
    if ruling.rule in _OF_RULE:
        return _OF_RULE[ruling.rule]
    if ruling.rule in _DRAINS:
        return State.DRAINED if ruling.weight is None else State.DRAINING
    if ruling.rule is Rule.STEPPING_BACK:
        return State.STANDBY if ruling.weight is None else State.DRAINING
    return State.UP if ruling.weight else State.IDLE
