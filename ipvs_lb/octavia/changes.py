"""What a request makes of the objects: each function reads a body and answers with a `Change`, or raises a Fault.

Rules kept here, Octavia's:
1. A load balancer is the unit of change: only one that is ACTIVE can be changed, and a change of anything in it makes
   it, the listeners and the pool concerned PENDING_UPDATE until the kernel has it.
2. What is deleted is PENDING_DELETE until the kernel has let go of it.
3. Nothing is made of a request that is refused in any part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from ipvs_lb.octavia import quotas
from ipvs_lb.octavia.catalogue import Catalogue, Change, name_of, putting
from ipvs_lb.octavia.faults import (
    Fault,
    conflict,
    immutable,
    invalid,
    validation,
    wrong_state,
)
from ipvs_lb.octavia.fields import MAX_TEXT, Values, read_new, read_update
from ipvs_lb.octavia.objects import (
    AnyObject,
    HealthMonitor,
    Kind,
    Listener,
    LoadBalancer,
    Member,
    Pool,
    Provisioning,
    SessionPersistence,
    VipAddress,
)
from ipvs_lb.octavia.rules import (
    check_listener,
    check_member,
    check_monitor,
    check_pool,
    check_pool_under,
    settled_monitor,
)

T = TypeVar("T", bound=AnyObject)
_TREE = "load_balancer.loadbalancer"
Body = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Whose a new load balancer is, and what else comes from the outside: the time, identifiers, limits of projects.

    What is in a load balancer is of its project, whoever asks. `moment` is Unix seconds, later each time it is asked
    for, so that what one request makes is listed in the order it has there.
    """

    project_id: str
    moment: Callable[[], float]
    new_id: Callable[[], str]
    quota_of: Callable[[str], quotas.Quota] = quotas.unlimited

    @property
    def now(self) -> float:
        """When the object that is made now is made."""
        return self.moment()

    @property
    def quota(self) -> quotas.Quota:
        """What the project may have."""
        return self.quota_of(self.project_id)

    def within(self, load_balancer: LoadBalancer) -> Author:
        """The author of something in *load_balancer*."""
        return replace(self, project_id=load_balancer.project_id)


# load balancers


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
    _within_quota(catalogue, author, Kind.LOAD_BALANCER)
    main, *others = place(values)
    load_balancer = LoadBalancer(
        id=author.new_id(),
        created_at=author.now,
        vip=main,
        additional_vips=tuple(others),
        provider=str(values["provider"] or "ipvs"),
        **_own(LoadBalancer, values, author),
    )
    draft = Catalogue([load_balancer])
    change = putting(load_balancer)
    pools = _list_of(values["pools"], "pools")
    for nested in pools:
        change |= _nested_pool(draft, nested, load_balancer, author, f"{_TREE}.pools")
    for nested in _list_of(values["listeners"], "listeners"):
        change |= _nested_listener(draft, nested, load_balancer, author, f"{_TREE}.listeners")
    _all_within_quota(catalogue, author, change)
    return load_balancer, change


def update_load_balancer(
    catalogue: Catalogue, identifier: str, body: Body
) -> tuple[LoadBalancer, Change]:
    """New values of a load balancer's fields."""
    before = catalogue.load_balancer(identifier)
    values = read_update(Kind.LOAD_BALANCER, body)
    if before.provisioning is not Provisioning.ACTIVE:
        raise wrong_state(before.provisioning, identifier)
    after = _updating(before, values)
    return after, putting(after)


def delete_load_balancer(catalogue: Catalogue, identifier: str, *, cascade: bool) -> Change:
    """A load balancer and, with *cascade*, everything in it."""
    load_balancer = catalogue.load_balancer(identifier)
    tree = catalogue.tree(identifier)
    if (tree.listeners or tree.pools) and not cascade:
        raise validation(f"Cannot delete Load Balancer {identifier} - it has children")
    _refuse_pending(load_balancer)
    return putting(*(_deleting(thing) for thing in tree.objects()))


def fail_over(catalogue: Catalogue, identifier: str) -> Change:
    """Everything of a load balancer put in force anew; the way out of ERROR, for all in it."""
    load_balancer = catalogue.load_balancer(identifier)
    _refuse_pending(load_balancer)
    inside = catalogue.tree(identifier).objects()
    broken = [thing for thing in inside if thing.provisioning is Provisioning.ERROR]
    return putting(*map(_pending_update, broken), _pending_update(load_balancer))


# listeners


def create_listener(catalogue: Catalogue, body: Body, author: Author) -> tuple[Listener, Change]:
    """A listener, with a default pool where *body* nests one."""
    values = read_new(Kind.LISTENER, body)
    if values["loadbalancer_id"] is None:
        raise invalid("loadbalancer_id", None, "Mandatory field missing.")
    load_balancer = catalogue.load_balancer(str(values["loadbalancer_id"]))
    author = author.within(load_balancer)
    _within_quota(catalogue, author, Kind.LISTENER)
    _refuse_changing(load_balancer)
    draft = Catalogue(catalogue.tree(load_balancer.id).objects())
    change = _nested_listener(draft, body, load_balancer, author)
    _all_within_quota(catalogue, author, change)
    listener = next(thing for thing in change.values() if isinstance(thing, Listener))
    touched = putting(_pending_update(load_balancer))
    if listener.default_pool_id in catalogue.pools:
        touched |= putting(_pending_update(catalogue.pools[listener.default_pool_id]))
    return listener, {**touched, **change}


def update_listener(catalogue: Catalogue, identifier: str, body: Body) -> tuple[Listener, Change]:
    """New values of a listener's fields."""
    before = catalogue.listener(identifier)
    values = read_update(Kind.LISTENER, body)
    load_balancer = _changeable(catalogue, before)
    after = _updating(before, values)
    check_listener(catalogue, after, load_balancer)
    return after, putting(_pending_update(load_balancer), after)


def delete_listener(catalogue: Catalogue, identifier: str) -> Change:
    """A listener; its pools stay."""
    listener = catalogue.listener(identifier)
    load_balancer = _changeable(catalogue, listener)
    return putting(_pending_update(load_balancer), _deleting(listener))


# pools


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
    if listener is not None and listener.load_balancer_id != load_balancer.id:
        raise validation(f"Listener {listener.id} is not of load balancer {load_balancer.id}")
    author = author.within(load_balancer)
    if listener is not None:
        check_pool_under(str(values["protocol"]), listener)
    _within_quota(catalogue, author, Kind.POOL)
    if listener is not None and listener.default_pool_id is not None:
        raise conflict("This listener already has a default pool")
    _refuse_changing(load_balancer)
    change = _nested_pool(Catalogue([load_balancer]), body, load_balancer, author)
    _all_within_quota(catalogue, author, change)
    pool = next(thing for thing in change.values() if isinstance(thing, Pool))
    touched = putting(_pending_update(load_balancer))
    if listener is not None:
        touched |= putting(replace(_pending_update(listener), default_pool_id=pool.id))
    return pool, {**touched, **change}


def update_pool(catalogue: Catalogue, identifier: str, body: Body) -> tuple[Pool, Change]:
    """New values of a pool's fields."""
    before = catalogue.pool(identifier)
    values = read_update(Kind.POOL, body)
    after = _updating(before, _with_type(values, before))
    check_pool(after)
    load_balancer = _changeable(catalogue, before)
    return after, putting(*_around(catalogue, before, load_balancer), after)


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
    load_balancer = _changeable(catalogue, pool)
    monitor = catalogue.monitor_of(pool.id)
    inside = (*catalogue.members_of(pool.id), *((monitor,) if monitor else ()))
    return putting(
        *_around(catalogue, pool, load_balancer), *map(_deleting, inside), _deleting(pool)
    )


# members


def create_member(
    catalogue: Catalogue, pool_id: str, body: Body, author: Author
) -> tuple[Member, Change]:
    """A member of a pool."""
    pool = catalogue.pool(pool_id)
    author = author.within(catalogue.load_balancer_of(pool))
    values = read_new(Kind.MEMBER, body)
    _within_quota(catalogue, author, Kind.MEMBER)
    load_balancer = _changeable_pool(catalogue, pool)
    member = _new_member(catalogue, values, pool, author)
    return member, putting(*_around(catalogue, pool, load_balancer), _pending_update(pool), member)


def update_member(
    catalogue: Catalogue, pool_id: str, identifier: str, body: Body
) -> tuple[Member, Change]:
    """New values of a member's fields."""
    before = catalogue.member(pool_id, identifier)
    values = read_update(Kind.MEMBER, body)
    pool = catalogue.pools[pool_id]
    load_balancer = _changeable_pool(catalogue, pool)
    after = _updating(before, values)
    return after, putting(*_around(catalogue, pool, load_balancer), _pending_update(pool), after)


def delete_member(catalogue: Catalogue, pool_id: str, identifier: str) -> Change:
    """A member."""
    member = catalogue.member(pool_id, identifier)
    pool = catalogue.pools[pool_id]
    load_balancer = _changeable_pool(catalogue, pool)
    return putting(
        *_around(catalogue, pool, load_balancer), _pending_update(pool), _deleting(member)
    )


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
            own = _own(Member, {**values, **kept}, author, fresh=False)
            wanted[place] = _updating(before, own)
    for member in wanted.values():
        check_member(member, catalogue.load_balancer_of(pool))
    new = [member for place, member in wanted.items() if place not in known]
    gone = [] if additive else [one for place, one in known.items() if place not in wanted]
    if not wanted and not gone:
        return {}
    load_balancer = _changeable_pool(catalogue, pool)
    _within_quota(catalogue, author, Kind.MEMBER, len(new) - len(gone))
    return putting(
        *_around(catalogue, pool, load_balancer),
        _pending_update(pool),
        *wanted.values(),
        *map(_deleting, gone),
    )


# health monitors


def create_monitor(
    catalogue: Catalogue, body: Body, author: Author
) -> tuple[HealthMonitor, Change]:
    """The health monitor of a pool."""
    values = read_new(Kind.HEALTH_MONITOR, body)
    pool = catalogue.pool(str(values["pool_id"]))
    author = author.within(catalogue.load_balancer_of(pool))
    monitor = _new_monitor(values, pool, author)
    _within_quota(catalogue, author, Kind.HEALTH_MONITOR)
    load_balancer = _changeable_pool(catalogue, pool)
    if catalogue.monitor_of(pool.id) is not None:
        raise conflict("This pool already has a health monitor")
    return monitor, putting(
        *_around(catalogue, pool, load_balancer), _pending_update(pool), monitor
    )


def update_monitor(
    catalogue: Catalogue, identifier: str, body: Body
) -> tuple[HealthMonitor, Change]:
    """New values of a health monitor's fields."""
    before = catalogue.monitor(identifier)
    values = read_update(Kind.HEALTH_MONITOR, body)
    pool = catalogue.pools[before.pool_id]
    after = settled_monitor(_updating(before, values))
    check_monitor(after, values, pool)
    load_balancer = _changeable_pool(catalogue, pool)
    return after, putting(*_around(catalogue, pool, load_balancer), _pending_update(pool), after)


def delete_monitor(catalogue: Catalogue, identifier: str) -> Change:
    """A health monitor."""
    monitor = catalogue.monitor(identifier)
    pool = catalogue.pools[monitor.pool_id]
    load_balancer = _changeable_pool(catalogue, pool)
    return putting(
        *_around(catalogue, pool, load_balancer), _pending_update(pool), _deleting(monitor)
    )


# what comes of it


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


# parts


def _nested_listener(
    draft: Catalogue,
    body: object,
    load_balancer: LoadBalancer,
    author: Author,
    argument: str = "listener_.listener",
) -> Change:
    values = read_new(Kind.LISTENER, _mapping(body, "listener"), argument=argument)
    change: Change = {}
    if values["default_pool"] is not None:
        named = _named_pool(draft, values["default_pool"], load_balancer)
        if named is None:
            inner = f"{argument}.default_pool"
            change = _nested_pool(draft, values["default_pool"], load_balancer, author, inner)
            named = next(thing for thing in change.values() if isinstance(thing, Pool))
        values["default_pool_id"] = named.id
    listener = Listener(
        id=author.new_id(),
        created_at=author.now,
        load_balancer_id=load_balancer.id,
        **_own(Listener, values, author),
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


def _nested_pool(
    draft: Catalogue,
    body: object,
    load_balancer: LoadBalancer,
    author: Author,
    argument: str = "pool_.pool",
) -> Change:
    values = read_new(Kind.POOL, _mapping(body, "pool"), argument=argument)
    pool = Pool(
        id=author.new_id(),
        created_at=author.now,
        load_balancer_id=load_balancer.id,
        **_own(Pool, values, author),
    )
    check_pool(pool)
    draft.take(putting(pool))
    change = putting(pool)
    for nested in _list_of(values["members"], "members"):
        inside = read_new(Kind.MEMBER, _mapping(nested, "member"), argument=f"{argument}.members")
        member = _new_member(draft, inside, pool, author)
        draft.take(putting(member))
        change |= putting(member)
    if values["healthmonitor"] is not None:
        body = _mapping(values["healthmonitor"], "healthmonitor")
        inside = read_new(
            Kind.HEALTH_MONITOR,
            body,
            argument=f"{argument}.healthmonitor",
            without=("pool_id",),
        )
        change |= putting(_new_monitor(inside, pool, author))
        draft.take(change)
    return change


def _new_member(catalogue: Catalogue, values: Values, pool: Pool, author: Author) -> Member:
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
        **_own(Member, values, author),
    )


def _new_monitor(values: Values, pool: Pool, author: Author) -> HealthMonitor:
    own = _own(HealthMonitor, {**values, "pool_id": pool.id}, author)
    monitor = settled_monitor(HealthMonitor(id=author.new_id(), created_at=author.now, **own))
    given = {name: value for name, value in values.items() if value is not None}
    check_monitor(monitor, given, pool)
    return monitor


_OUTSIDE = {"id", "created_at", "updated_at", "provisioning", "provider", "vip", "additional_vips"}


def _own(
    kind: type[AnyObject], values: Values, author: Author, *, fresh: bool = True
) -> dict[str, Any]:
    """Those of *values* that an object of *kind* keeps; a fresh one gets its project."""
    kept = {field.name for field in fields(kind)} - _OUTSIDE - {"project_id"}
    own = {name: value for name, value in values.items() if name in kept}
    return {**own, "project_id": author.project_id} if fresh else own


def _around(catalogue: Catalogue, pool: Pool, load_balancer: LoadBalancer) -> list[AnyObject]:
    """What a change in *pool* makes wait: its load balancer and the listeners that use it."""
    return [_pending_update(load_balancer), *map(_pending_update, catalogue.listeners_using(pool))]


def _updating(thing: T, values: Values) -> T:
    kept = {field.name for field in fields(thing)}
    own: dict[str, Any] = {name: value for name, value in values.items() if name in kept}
    return _pending_update(replace(thing, **own))


def _pending_update(thing: T) -> T:
    return replace(thing, provisioning=Provisioning.PENDING_UPDATE)


def _deleting(thing: T) -> T:
    return replace(thing, provisioning=Provisioning.PENDING_DELETE)


def _changeable(catalogue: Catalogue, thing: Listener | Pool) -> LoadBalancer:
    """The load balancer of *thing*, which must not be in the middle of another change."""
    load_balancer = catalogue.load_balancer_of(thing)
    _refuse_changing(load_balancer)
    return load_balancer


def _changeable_pool(catalogue: Catalogue, pool: Pool) -> LoadBalancer:
    """The load balancer of *pool*, for a change of what is in the pool."""
    if pool.provisioning is not Provisioning.ACTIVE:
        raise immutable(Kind.POOL, pool.id)
    return _changeable(catalogue, pool)


def _refuse_changing(load_balancer: LoadBalancer) -> None:
    if load_balancer.provisioning is not Provisioning.ACTIVE:
        raise immutable(Kind.LOAD_BALANCER, load_balancer.id)


def _refuse_pending(load_balancer: LoadBalancer) -> None:
    if load_balancer.provisioning.is_pending:
        raise wrong_state(load_balancer.provisioning, load_balancer.id)


def _within_quota(catalogue: Catalogue, author: Author, kind: Kind, more: int = 1) -> None:
    author.quota.allow(kind, catalogue.count(author.project_id, kind), more)


def _all_within_quota(catalogue: Catalogue, author: Author, change: Change) -> None:
    for kind in Kind:
        _within_quota(catalogue, author, kind, sum(1 for one, _ in change if one is kind))


def _list_of(value: object, name: str) -> list[object]:
    if value is None:
        return []
    assert isinstance(value, list), f"the table reads {name} as a list"  # noqa: S101  # narrows the type
    return value


def _mapping(value: object, name: str) -> Body:
    if isinstance(value, Mapping):
        return value
    raise invalid(name, value, "Value should be an object")


def _number(value: object) -> int:
    assert isinstance(value, int), "the table reads it as a number"  # noqa: S101  # narrows the type
    return value
