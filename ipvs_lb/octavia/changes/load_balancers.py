"""Load balancers: with all that is nested in them, and without."""

from __future__ import annotations

from collections.abc import Callable

from ipvs_lb.octavia.catalogue import Catalogue, Change, putting
from ipvs_lb.octavia.changes.author import Author
from ipvs_lb.octavia.changes.listeners import nested_listener
from ipvs_lb.octavia.changes.parts import (
    Body,
    all_within_quota,
    deleting,
    list_of,
    own_values,
    pending_update,
    refuse_from_file,
    refuse_pending,
    updating,
    within_quota,
)
from ipvs_lb.octavia.changes.pools import nested_pool
from ipvs_lb.octavia.faults import Fault, validation, wrong_state
from ipvs_lb.octavia.fields import Values, read_new, read_update
from ipvs_lb.octavia.objects import Kind, LoadBalancer, Provisioning, VipAddress

_TREE = "load_balancer.loadbalancer"


def create_load_balancer(
    catalogue: Catalogue,
    body: Body,
    author: Author,
    place: Callable[[Values], tuple[VipAddress, ...]],
) -> tuple[LoadBalancer, Change]:
    """A load balancer with all that *body* nests in it; *place* finds its addresses, the main one first."""
    values = read_new(Kind.LOAD_BALANCER, body)
    if values["provider"] not in {None, "ipvs", "octavia"}:
        raise Fault(400, f"Provider '{values['provider']}' is not enabled.")
    within_quota(catalogue, author, Kind.LOAD_BALANCER)
    main, *others = place(values)
    load_balancer = LoadBalancer(
        id=author.new_id(),
        created_at=author.now,
        vip=main,
        additional_vips=tuple(others),
        provider=str(values["provider"] or "ipvs"),
        **own_values(LoadBalancer, values, author),
    )
    draft = Catalogue([load_balancer])
    change = putting(load_balancer)
    pools = list_of(values["pools"], "pools")
    for nested in pools:
        change |= nested_pool(draft, nested, load_balancer, author, f"{_TREE}.pools")
    for nested in list_of(values["listeners"], "listeners"):
        change |= nested_listener(draft, nested, load_balancer, author, f"{_TREE}.listeners")
    all_within_quota(catalogue, author, change)
    return load_balancer, change


def update_load_balancer(
    catalogue: Catalogue, identifier: str, body: Body
) -> tuple[LoadBalancer, Change]:
    """New values of a load balancer's fields."""
    before = catalogue.load_balancer(identifier)
    refuse_from_file(catalogue, before)
    values = read_update(Kind.LOAD_BALANCER, body)
    if before.provisioning is not Provisioning.ACTIVE:
        raise wrong_state(before.provisioning, identifier)
    after = updating(before, values)
    return after, putting(after)


def delete_load_balancer(catalogue: Catalogue, identifier: str, *, cascade: bool) -> Change:
    """A load balancer and, with *cascade*, everything in it."""
    load_balancer = catalogue.load_balancer(identifier)
    refuse_from_file(catalogue, load_balancer)
    tree = catalogue.tree(identifier)
    if (tree.listeners or tree.pools) and not cascade:
        raise validation(f"Cannot delete Load Balancer {identifier} - it has children")
    refuse_pending(load_balancer)
    return putting(*(deleting(thing) for thing in tree.objects()))


def fail_over(catalogue: Catalogue, identifier: str) -> Change:
    """Everything of a load balancer put in force anew; the way out of ERROR, for all in it."""
    load_balancer = catalogue.load_balancer(identifier)
    refuse_from_file(catalogue, load_balancer)
    refuse_pending(load_balancer)
    inside = catalogue.tree(identifier).objects()
    broken = [thing for thing in inside if thing.provisioning is Provisioning.ERROR]
    return putting(*map(pending_update, broken), pending_update(load_balancer))
