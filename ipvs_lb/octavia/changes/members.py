"""Members, one by one, nested in a pool, or all of a pool at once."""

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
from ipvs_lb.octavia.faults import Fault, conflict, validation
from ipvs_lb.octavia.fields import Values, read_new, read_update
from ipvs_lb.octavia.objects import Kind, Member, Pool
from ipvs_lb.octavia.rules import check_member


def create_member(
    catalogue: Catalogue, pool_id: str, body: Body, author: Author
) -> tuple[Member, Change]:
    """A member of a pool."""
    pool = catalogue.pool(pool_id)
    author = author.within(catalogue.load_balancer_of(pool))
    values = read_new(Kind.MEMBER, body)
    within_quota(catalogue, author, Kind.MEMBER)
    load_balancer = changeable_pool(catalogue, pool)
    member = new_member(catalogue, values, pool, author)
    return member, putting(*around(catalogue, pool, load_balancer), pending_update(pool), member)


def update_member(
    catalogue: Catalogue, pool_id: str, identifier: str, body: Body
) -> tuple[Member, Change]:
    """New values of a member's fields."""
    before = catalogue.member(pool_id, identifier)
    values = read_update(Kind.MEMBER, body)
    pool = catalogue.pools[pool_id]
    load_balancer = changeable_pool(catalogue, pool)
    after = updating(before, values)
    return after, putting(*around(catalogue, pool, load_balancer), pending_update(pool), after)


def delete_member(catalogue: Catalogue, pool_id: str, identifier: str) -> Change:
    """A member."""
    member = catalogue.member(pool_id, identifier)
    pool = catalogue.pools[pool_id]
    load_balancer = changeable_pool(catalogue, pool)
    return putting(*around(catalogue, pool, load_balancer), pending_update(pool), deleting(member))


def replace_members(
    catalogue: Catalogue, pool_id: str, bodies: list[Body], author: Author, *, additive: bool
) -> Change:
    """The members of a pool, all at once, by address and port; those not named go unless *additive*."""
    pool = catalogue.pool(pool_id)
    author = author.within(catalogue.load_balancer_of(pool))
    known = {(one.address, one.protocol_port): one for one in catalogue.members_of(pool_id)}
    wanted: dict[tuple[object, int], Member] = {}
    for body in bodies:
        values = read_new(Kind.MEMBER, body, argument="members_.members")
        place = (values["address"], _number(values["protocol_port"]))
        if place in wanted and place in known:
            raise validation("Member must be updated only once in the same request.")
        if place in wanted:
            raise _same_member(wanted[place])
        before = known.get(place)  # type: ignore[arg-type]  # the table has made an address of it
        if before is None:
            wanted[place] = _member(values, pool, author)
        else:
            kept = {"name": before.name, "tags": before.tags}
            kept = {name: old for name, old in kept.items() if body.get(name) is None}
            own = own_values(Member, {**values, **kept}, author, fresh=False)
            wanted[place] = updating(before, own)
    for member in wanted.values():
        check_member(member, catalogue.load_balancer_of(pool))
    new = [member for place, member in wanted.items() if place not in known]
    gone = [] if additive else [one for place, one in known.items() if place not in wanted]
    if not wanted and not gone:
        return {}
    load_balancer = changeable_pool(catalogue, pool)
    within_quota(catalogue, author, Kind.MEMBER, len(new) - len(gone))
    return putting(
        *around(catalogue, pool, load_balancer),
        pending_update(pool),
        *wanted.values(),
        *map(deleting, gone),
    )


def new_member(catalogue: Catalogue, values: Values, pool: Pool, author: Author) -> Member:
    """A member of *pool* that is not in it yet."""
    member = _member(values, pool, author)
    check_member(member, catalogue.load_balancer_of(pool))
    for other in catalogue.members_of(pool.id):
        if (other.address, other.protocol_port) == (member.address, member.protocol_port):
            raise _same_member(member)
    return member


def _same_member(member: Member) -> Fault:
    return conflict(
        f"Another member on this pool is already using ip {member.address}"
        f" on protocol_port {member.protocol_port}"
    )


def _member(values: Values, pool: Pool, author: Author) -> Member:
    return Member(
        id=author.new_id(),
        created_at=author.now,
        pool_id=pool.id,
        **own_values(Member, values, author),
    )


def _number(value: object) -> int:
    assert isinstance(value, int), "the table reads it as a number"  # noqa: S101  # narrows the type
    return value
