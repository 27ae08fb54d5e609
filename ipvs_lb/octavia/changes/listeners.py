"""Listeners, by themselves or nested in a load balancer."""

from __future__ import annotations

from collections.abc import Mapping

from ipvs_lb.octavia.catalogue import Catalogue, Change, putting
from ipvs_lb.octavia.changes.author import Author
from ipvs_lb.octavia.changes.parts import (
    Body,
    all_within_quota,
    changeable,
    deleting,
    mapping,
    own_values,
    pending_update,
    refuse_changing,
    refuse_from_file,
    updating,
    within_quota,
)
from ipvs_lb.octavia.changes.pools import nested_pool
from ipvs_lb.octavia.faults import invalid, validation
from ipvs_lb.octavia.fields import MAX_TEXT, read_new, read_update
from ipvs_lb.octavia.objects import Kind, Listener, LoadBalancer, Pool
from ipvs_lb.octavia.rules import check_listener


def create_listener(catalogue: Catalogue, body: Body, author: Author) -> tuple[Listener, Change]:
    """A listener, with a default pool where *body* nests one."""
    values = read_new(Kind.LISTENER, body)
    if values["loadbalancer_id"] is None:
        raise invalid("loadbalancer_id", None, "Mandatory field missing.")
    load_balancer = catalogue.load_balancer(str(values["loadbalancer_id"]))
    refuse_from_file(catalogue, load_balancer)
    author = author.within(load_balancer)
    within_quota(catalogue, author, Kind.LISTENER)
    refuse_changing(load_balancer)
    draft = Catalogue(catalogue.tree(load_balancer.id).objects())
    change = nested_listener(draft, body, load_balancer, author)
    all_within_quota(catalogue, author, change)
    listener = next(thing for thing in change.values() if isinstance(thing, Listener))
    touched = putting(pending_update(load_balancer))
    if listener.default_pool_id in catalogue.pools:
        touched |= putting(pending_update(catalogue.pools[listener.default_pool_id]))
    return listener, {**touched, **change}


def update_listener(catalogue: Catalogue, identifier: str, body: Body) -> tuple[Listener, Change]:
    """New values of a listener's fields."""
    before = catalogue.listener(identifier)
    values = read_update(Kind.LISTENER, body)
    load_balancer = changeable(catalogue, before)
    after = updating(before, values)
    check_listener(catalogue, after, load_balancer)
    return after, putting(pending_update(load_balancer), after)


def delete_listener(catalogue: Catalogue, identifier: str) -> Change:
    """A listener; its pools stay."""
    listener = catalogue.listener(identifier)
    load_balancer = changeable(catalogue, listener)
    return putting(pending_update(load_balancer), deleting(listener))


def nested_listener(
    draft: Catalogue,
    body: object,
    load_balancer: LoadBalancer,
    author: Author,
    argument: str = "listener_.listener",
) -> Change:
    """A listener that *body* describes in *load_balancer*, with its pool; *draft* has what is beside it, and gets it."""
    values = read_new(Kind.LISTENER, mapping(body, "listener"), argument=argument)
    change: Change = {}
    if values["default_pool"] is not None:
        named = _named_pool(draft, values["default_pool"], load_balancer)
        if named is None:
            inner = f"{argument}.default_pool"
            change = nested_pool(draft, values["default_pool"], load_balancer, author, inner)
            named = next(thing for thing in change.values() if isinstance(thing, Pool))
        values["default_pool_id"] = named.id
    listener = Listener(
        id=author.new_id(),
        created_at=author.now,
        load_balancer_id=load_balancer.id,
        **own_values(Listener, values, author),
    )
    check_listener(draft, listener, load_balancer)
    draft.take(putting(listener))
    return {**putting(listener), **change}


def _named_pool(draft: Catalogue, body: object, load_balancer: LoadBalancer) -> Pool | None:
    """The pool beside the listeners that a listener means by name alone."""
    if not isinstance(body, Mapping) or body.keys() != {"name"}:
        return None
    for pool in draft.pools_of(load_balancer.id):
        if pool.name == body["name"]:
            return pool
    raise validation(
        f"Pool '{str(body['name'])[:MAX_TEXT]}' was referenced but no full definition was found."
    )
