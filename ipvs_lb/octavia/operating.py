"""What is observed of objects, by the rules of Octavia's health manager.

A member: disabled OFFLINE; weight 0 DRAINING; without a monitor NO_MONITOR; passing ONLINE; failing ERROR.
A pool: used by no listener, or disabled, OFFLINE; no member that works ERROR; some that do not DEGRADED; else ONLINE.
A listener: disabled OFFLINE; not in the kernel ERROR; else ONLINE, whatever its pool is.
A load balancer: disabled OFFLINE; else the worst of its pools and listeners.
Until what was asked for is in force, an object is what it was when it was made: OFFLINE, or a member NO_MONITOR.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping

from ipvs_lb.octavia.catalogue import Tree
from ipvs_lb.octavia.objects import (
    AnyObject,
    HealthMonitor,
    Listener,
    Member,
    Operating,
    Pool,
    Provisioning,
)


class Verdict(enum.Enum):
    """What probes say of a member."""

    UP = "up"
    DOWN = "down"
    AWAITED = "awaited"


Verdicts = Callable[[Member], Verdict]
"""What is believed of a member with a monitor."""
Present = Callable[[Listener], bool]
"""Whether the kernel has the virtual services of a listener."""

_WORKING = {Operating.ONLINE, Operating.NO_MONITOR, Operating.DRAINING}
_FAILING = {Operating.ERROR}


def observed(tree: Tree, verdicts: Verdicts, present: Present) -> Mapping[str, Operating]:
    """The operating status of every object of *tree*, by identifier."""
    found: dict[str, Operating] = {}
    used = {listener.default_pool_id for listener in tree.listeners}
    for pool in tree.pools:
        monitor = tree.monitors.get(pool.id)
        for member in tree.members[pool.id]:
            found[member.id] = _member(member, monitor, verdicts)
        states = [found[one.id] for one in tree.members[pool.id] if one.admin_state_up]
        found[pool.id] = _pool(pool, states, is_used=pool.id in used)
    for listener in tree.listeners:
        found[listener.id] = _listener(listener, present)
    for monitor in tree.monitors.values():
        found[monitor.id] = _own(monitor, Operating.ONLINE)
    worst = _worst(found[one.id] for one in (*tree.pools, *tree.listeners))
    found[tree.load_balancer.id] = _own(tree.load_balancer, worst)
    return found


def at_first(thing: AnyObject, monitor: HealthMonitor | None = None) -> Operating:
    """The status of an object that has just been asked for."""
    if isinstance(thing, Member) and monitor is None:
        return Operating.NO_MONITOR
    return Operating.OFFLINE


def _own(thing: AnyObject, status: Operating) -> Operating:
    """*status*, unless the object is not in force yet or is disabled."""
    if thing.provisioning is Provisioning.PENDING_CREATE or not thing.admin_state_up:
        return Operating.OFFLINE
    return status


def _member(member: Member, monitor: HealthMonitor | None, verdicts: Verdicts) -> Operating:
    if member.provisioning is Provisioning.PENDING_CREATE:
        return at_first(member, monitor)
    if not member.admin_state_up:
        return Operating.OFFLINE
    if member.weight == 0:
        return Operating.DRAINING
    if monitor is None or not monitor.admin_state_up:
        return Operating.NO_MONITOR
    match verdicts(member):
        case Verdict.UP:
            return Operating.ONLINE
        case Verdict.DOWN:
            return Operating.ERROR
        case Verdict.AWAITED:
            return Operating.OFFLINE


def _pool(pool: Pool, members: Iterable[Operating], *, is_used: bool) -> Operating:
    if not is_used:
        return Operating.OFFLINE
    states = set(members)
    if not states & _FAILING:
        return _own(pool, Operating.ONLINE)
    return _own(pool, Operating.DEGRADED if states & _WORKING else Operating.ERROR)


def _listener(listener: Listener, present: Present) -> Operating:
    here = listener.provisioning is not Provisioning.ACTIVE or present(listener)
    return _own(listener, Operating.ONLINE if here else Operating.ERROR)


def _worst(states: Iterable[Operating]) -> Operating:
    found = set(states)
    for state in (Operating.ERROR, Operating.DEGRADED):
        if state in found:
            return state
    return Operating.ONLINE
