"""What the changes of all kinds have in common: what may be changed now, and what becomes of an object meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from ipvs_lb.octavia.catalogue import Catalogue, Change
from ipvs_lb.octavia.changes.author import Author
from ipvs_lb.octavia.faults import from_file, immutable, invalid, wrong_state
from ipvs_lb.octavia.fields import Values
from ipvs_lb.octavia.objects import (
    AnyObject,
    Kind,
    Listener,
    LoadBalancer,
    Pool,
    Provisioning,
    kind_of,
)

T = TypeVar("T", bound=AnyObject)
Body = Mapping[str, object]
_OUTSIDE = {"id", "created_at", "updated_at", "provisioning", "provider", "vip", "additional_vips"}


def own_values(
    kind: type[AnyObject], values: Values, author: Author, *, fresh: bool = True
) -> dict[str, Any]:
    """Those of *values* that an object of *kind* keeps; a fresh one gets its project."""
    kept = {field.name for field in fields(kind)} - _OUTSIDE - {"project_id"}
    own = {name: value for name, value in values.items() if name in kept}
    return {**own, "project_id": author.project_id} if fresh else own


def updating(thing: T, values: Values) -> T:
    """*thing* with those of *values* that it keeps, while that is not in force."""
    kept = {field.name for field in fields(thing)}
    own: dict[str, Any] = {name: value for name, value in values.items() if name in kept}
    return pending_update(replace(thing, **own))


def pending_update(thing: T) -> T:
    """*thing* while a change of it, or beside it, is not in force."""
    return replace(thing, provisioning=Provisioning.PENDING_UPDATE)


def deleting(thing: T) -> T:
    """*thing* on its way out."""
    return replace(thing, provisioning=Provisioning.PENDING_DELETE)


def around(catalogue: Catalogue, pool: Pool, load_balancer: LoadBalancer) -> list[AnyObject]:
    """What a change in *pool* makes wait: its load balancer and the listeners that use it."""
    return [pending_update(load_balancer), *map(pending_update, catalogue.listeners_using(pool))]


def changeable(catalogue: Catalogue, thing: Listener | Pool) -> LoadBalancer:
    """The load balancer of *thing*, which must not be in the middle of another change."""
    refuse_from_file(catalogue, thing)
    load_balancer = catalogue.load_balancer_of(thing)
    refuse_changing(load_balancer)
    return load_balancer


def changeable_pool(catalogue: Catalogue, pool: Pool) -> LoadBalancer:
    """The load balancer of *pool*, for a change of what is in the pool."""
    if pool.provisioning is not Provisioning.ACTIVE:
        raise immutable(Kind.POOL, pool.id)
    return changeable(catalogue, pool)


def refuse_from_file(catalogue: Catalogue, thing: AnyObject) -> None:
    """Raise a fault when the configuration's files declare *thing*."""
    if catalogue.is_from_file(thing):
        raise from_file(kind_of(thing), thing.id)


def refuse_changing(load_balancer: LoadBalancer) -> None:
    """Raise the fault "immutable" unless *load_balancer* can be changed."""
    if load_balancer.provisioning is not Provisioning.ACTIVE:
        raise immutable(Kind.LOAD_BALANCER, load_balancer.id)


def refuse_pending(load_balancer: LoadBalancer) -> None:
    """Raise a fault while a change of *load_balancer* is under way."""
    if load_balancer.provisioning.is_pending:
        raise wrong_state(load_balancer.provisioning, load_balancer.id)


def within_quota(catalogue: Catalogue, author: Author, kind: Kind, more: int = 1) -> None:
    """Raise the fault "quota has been met" when *more* of *kind* are too many for the author's project."""
    author.quota.allow(kind, catalogue.count(author.project_id, kind), more)


def all_within_quota(catalogue: Catalogue, author: Author, change: Change) -> None:
    """Raise the fault "quota has been met" when what *change* makes is too much for the author's project."""
    for kind in Kind:
        within_quota(catalogue, author, kind, sum(1 for one, _ in change if one is kind))


def list_of(value: object, name: str) -> list[object]:
    """The list that the table has read under *name*."""
    if value is None:
        return []
    assert isinstance(value, list), f"the table reads {name} as a list"  # noqa: S101  # narrows the type
    return value


def mapping(value: object, name: str) -> Body:
    """*value* as the body of an object. Raises Fault."""
    if isinstance(value, Mapping):
        return value
    raise invalid(name, value, "Value should be an object")
