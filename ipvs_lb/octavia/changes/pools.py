"""Pools, by themselves or nested in what uses them."""

from __future__ import annotations

from dataclasses import replace

from ipvs_lb.octavia.catalogue import Catalogue, Change, putting
from ipvs_lb.octavia.changes.author import Author
from ipvs_lb.octavia.changes.members import new_member
from ipvs_lb.octavia.changes.monitors import new_monitor
from ipvs_lb.octavia.changes.parts import (
    Body,
    all_within_quota,
    around,
    changeable,
    deleting,
    list_of,
    mapping,
    own_values,
    pending_update,
    refuse_changing,
    refuse_from_file,
    updating,
    within_quota,
)
from ipvs_lb.octavia.faults import conflict, validation
from ipvs_lb.octavia.fields import Values, read_new, read_update
from ipvs_lb.octavia.objects import Kind, LoadBalancer, Pool, SessionPersistence
from ipvs_lb.octavia.rules import check_pool, check_pool_under


def create_pool(catalogue: Catalogue, body: Body, author: Author) -> tuple[Pool, Change]:
    """A pool, with the members and the health monitor that *body* nests."""
    values = read_new(Kind.POOL, body)
    listener = (
        None if values["listener_id"] is None else catalogue.listener(str(values["listener_id"]))
    )
    holder = values["loadbalancer_id"] or (listener and listener.load_balancer_id)
    if holder is None:
        raise validation("Must provide at least one of: loadbalancer_id, listener_id")
    load_balancer = catalogue.load_balancer(str(holder))
    refuse_from_file(catalogue, load_balancer)
    if listener is not None and listener.load_balancer_id != load_balancer.id:
        raise validation(f"Listener {listener.id} is not of load balancer {load_balancer.id}")
    author = author.within(load_balancer)
    if listener is not None:
        check_pool_under(str(values["protocol"]), listener)
    within_quota(catalogue, author, Kind.POOL)
    if listener is not None and listener.default_pool_id is not None:
        raise conflict("This listener already has a default pool")
    refuse_changing(load_balancer)
    change = nested_pool(Catalogue([load_balancer]), body, load_balancer, author)
    all_within_quota(catalogue, author, change)
    pool = next(thing for thing in change.values() if isinstance(thing, Pool))
    touched = putting(pending_update(load_balancer))
    if listener is not None:
        touched |= putting(replace(pending_update(listener), default_pool_id=pool.id))
    return pool, {**touched, **change}


def update_pool(catalogue: Catalogue, identifier: str, body: Body) -> tuple[Pool, Change]:
    """New values of a pool's fields."""
    before = catalogue.pool(identifier)
    values = read_update(Kind.POOL, body)
    after = updating(before, _with_type(values, before))
    check_pool(after)
    load_balancer = changeable(catalogue, before)
    return after, putting(*around(catalogue, before, load_balancer), after)


def _with_type(values: Values, before: Pool) -> Values:
    """A persistence without a type is of the type it had. Raises Fault when there was none."""
    wanted = values.get("session_persistence")
    present = before.session_persistence
    if isinstance(wanted, SessionPersistence) and not wanted.type:
        if present is None:
            raise validation("Invalid session_persistence provided.")
        return {**values, "session_persistence": replace(wanted, type=present.type)}
    return values


def delete_pool(catalogue: Catalogue, identifier: str) -> Change:
    """A pool with its members and monitor; listeners that used it have none."""
    pool = catalogue.pool(identifier)
    load_balancer = changeable(catalogue, pool)
    monitor = catalogue.monitor_of(pool.id)
    inside = (*catalogue.members_of(pool.id), *((monitor,) if monitor else ()))
    return putting(*around(catalogue, pool, load_balancer), *map(deleting, inside), deleting(pool))


def nested_pool(
    draft: Catalogue,
    body: object,
    load_balancer: LoadBalancer,
    author: Author,
    argument: str = "pool_.pool",
) -> Change:
    """A pool that *body* describes in *load_balancer*, with what is in it; *draft* gets it."""
    values = read_new(Kind.POOL, mapping(body, "pool"), argument=argument)
    pool = Pool(
        id=author.new_id(),
        created_at=author.now,
        load_balancer_id=load_balancer.id,
        **own_values(Pool, values, author),
    )
    check_pool(pool)
    draft.take(putting(pool))
    change = putting(pool)
    for nested in list_of(values["members"], "members"):
        inside = read_new(Kind.MEMBER, mapping(nested, "member"), argument=f"{argument}.members")
        member = new_member(draft, inside, pool, author)
        draft.take(putting(member))
        change |= putting(member)
    if values["healthmonitor"] is not None:
        body = mapping(values["healthmonitor"], "healthmonitor")
        inside = read_new(
            Kind.HEALTH_MONITOR,
            body,
            argument=f"{argument}.healthmonitor",
            without=("pool_id",),
        )
        change |= putting(new_monitor(inside, pool, author))
        draft.take(change)
    return change
