"""What comes of pending changes."""

from __future__ import annotations

from dataclasses import replace

from ipvs_lb.octavia.catalogue import Catalogue, Change, name_of, putting
from ipvs_lb.octavia.objects import Kind, Listener, Provisioning


def settled(catalogue: Catalogue, load_balancer: str, now: float, *, failed: bool) -> Change:
    """The end of whatever is pending in a load balancer: gone, ACTIVE, or with *failed* ERROR."""
    change: Change = {}
    for thing in catalogue.tree(load_balancer).objects():
        if not thing.provisioning.is_pending:
            continue
        if failed:
            change |= putting(replace(thing, provisioning=Provisioning.ERROR, updated_at=now))
        elif thing.provisioning is Provisioning.PENDING_DELETE:
            change[name_of(thing)] = None
        else:
            change |= putting(replace(thing, provisioning=Provisioning.ACTIVE, updated_at=now))
    return {**change, **_released(catalogue, change)}


def _released(catalogue: Catalogue, change: Change) -> Change:
    """Listeners lose a default pool that is gone."""
    gone = {one for (kind, one), thing in change.items() if kind is Kind.POOL and thing is None}
    freed: Change = {}
    for pool in gone:
        for listener in catalogue.listeners_using(catalogue.pools[pool]):
            name = (Kind.LISTENER, listener.id)
            current = change.get(name, listener)
            if isinstance(current, Listener):
                freed[name] = replace(current, default_pool_id=None)
    return freed
