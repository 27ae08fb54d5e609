"""Health monitors, by themselves or nested in a pool."""

from __future__ import annotations

from ipvs_lb.octavia.catalogue import Catalogue, Change, putting
from ipvs_lb.octavia.changes.author import Author
from ipvs_lb.octavia.changes.parts import (
    Body,
    around,
    changeable_pool,
    deleting,
    own_values,
    pending_update,
    updating,
    within_quota,
)
from ipvs_lb.octavia.faults import conflict
from ipvs_lb.octavia.fields import Values, read_new, read_update
from ipvs_lb.octavia.objects import HealthMonitor, Kind, Pool
from ipvs_lb.octavia.rules import check_monitor, settled_monitor


def create_monitor(
    catalogue: Catalogue, body: Body, author: Author
) -> tuple[HealthMonitor, Change]:
    """The health monitor of a pool."""
    values = read_new(Kind.HEALTH_MONITOR, body)
    pool = catalogue.pool(str(values["pool_id"]))
    author = author.within(catalogue.load_balancer_of(pool))
    monitor = new_monitor(values, pool, author)
    within_quota(catalogue, author, Kind.HEALTH_MONITOR)
    load_balancer = changeable_pool(catalogue, pool)
    if catalogue.monitor_of(pool.id) is not None:
        raise conflict("This pool already has a health monitor")
    return monitor, putting(*around(catalogue, pool, load_balancer), pending_update(pool), monitor)


def update_monitor(
    catalogue: Catalogue, identifier: str, body: Body
) -> tuple[HealthMonitor, Change]:
    """New values of a health monitor's fields."""
    before = catalogue.monitor(identifier)
    values = read_update(Kind.HEALTH_MONITOR, body)
    pool = catalogue.pools[before.pool_id]
    after = settled_monitor(updating(before, values))
    check_monitor(after, values, pool)
    load_balancer = changeable_pool(catalogue, pool)
    return after, putting(*around(catalogue, pool, load_balancer), pending_update(pool), after)


def delete_monitor(catalogue: Catalogue, identifier: str) -> Change:
    """A health monitor."""
    monitor = catalogue.monitor(identifier)
    pool = catalogue.pools[monitor.pool_id]
    load_balancer = changeable_pool(catalogue, pool)
    return putting(*around(catalogue, pool, load_balancer), pending_update(pool), deleting(monitor))


def new_monitor(values: Values, pool: Pool, author: Author) -> HealthMonitor:
    """A health monitor of *pool*."""
    own = own_values(HealthMonitor, {**values, "pool_id": pool.id}, author)
    monitor = settled_monitor(HealthMonitor(id=author.new_id(), created_at=author.now, **own))
    given = {name: value for name, value in values.items() if value is not None}
    check_monitor(monitor, given, pool)
    return monitor
