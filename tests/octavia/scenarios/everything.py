"""All scenarios, in the order in which they are asked."""

from __future__ import annotations

from tests.octavia.questions import Scenario
from tests.octavia.scenarios import (
    doors,
    listeners,
    lists,
    load_balancers,
    members,
    monitors,
    pools,
    trees,
)

ALL: tuple[Scenario, ...] = (
    doors.DOORS,
    doors.MISSING,
    doors.BODIES,
    load_balancers.LOAD_BALANCERS,
    load_balancers.LOAD_BALANCER_CHANGES,
    load_balancers.CASCADE,
    load_balancers.PENDING,
    listeners.LISTENERS,
    listeners.LISTENER_CHANGES,
    pools.POOLS,
    pools.POOL_CHANGES,
    members.MEMBERS,
    members.MEMBER_CHANGES,
    members.BATCHES,
    monitors.MONITORS,
    monitors.MONITOR_CHANGES,
    load_balancers.STATES,
    trees.AT_ONCE,
    listeners.LAYER_7,
    doors.AROUND,
    load_balancers.QUOTAS,
    lists.LISTS,
    lists.COLLECTIONS,
)
