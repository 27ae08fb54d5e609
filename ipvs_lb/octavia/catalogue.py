"""All objects with what they belong to; every look-up is a dictionary's.

An edit is a `Change`: objects to put in place, and None for those to forget. It is worked out first, by functions that
change nothing, and taken as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ipvs_lb.octavia.faults import not_found
from ipvs_lb.octavia.objects import (
    AnyObject,
    HealthMonitor,
    Kind,
    Listener,
    LoadBalancer,
    Member,
    Pool,
    kind_of,
)

T = TypeVar("T", LoadBalancer, Listener, Pool, Member, HealthMonitor)

Name = tuple[Kind, str]
Change = dict[Name, AnyObject | None]


def name_of(thing: AnyObject) -> Name:
    """What a change calls *thing*."""
    return kind_of(thing), thing.id


def putting(*things: AnyObject) -> Change:
    """The change that puts *things* in place."""
    return {name_of(thing): thing for thing in things}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A load balancer with everything in it, in the order in which it was made."""

    load_balancer: LoadBalancer
    listeners: tuple[Listener, ...]
    pools: tuple[Pool, ...]
    members: Mapping[str, tuple[Member, ...]]
    monitors: Mapping[str, HealthMonitor]

    def objects(self) -> Iterable[AnyObject]:
        """All of it."""
        yield self.load_balancer
        yield from self.listeners
        for pool in self.pools:
            yield pool
            yield from self.members[pool.id]
        yield from self.monitors.values()


class Catalogue:
    """The objects of one gateway."""

    def __init__(self, objects: Iterable[AnyObject] = ()) -> None:
        self.load_balancers: dict[str, LoadBalancer] = {}
        self.listeners: dict[str, Listener] = {}
        self.pools: dict[str, Pool] = {}
        self.members: dict[str, Member] = {}
        self.monitors: dict[str, HealthMonitor] = {}
        self._of_kind: dict[Kind, dict[str, AnyObject]] = {
            Kind.LOAD_BALANCER: self.load_balancers,  # type: ignore[dict-item]  # each holds its own kind alone
            Kind.LISTENER: self.listeners,  # type: ignore[dict-item]  # the same
            Kind.POOL: self.pools,  # type: ignore[dict-item]  # the same
            Kind.MEMBER: self.members,  # type: ignore[dict-item]  # the same
            Kind.HEALTH_MONITOR: self.monitors,  # type: ignore[dict-item]  # the same
        }
        self._inside: defaultdict[str, dict[Name, None]] = defaultdict(dict)
        self._per_project: defaultdict[tuple[str, Kind], int] = defaultdict(int)
        self._from_files: Mapping[Name, AnyObject] = {}
        self.take(putting(*objects))

    def of_kind(self, kind: Kind) -> Mapping[str, AnyObject]:
        """Every object of *kind*, by identifier."""
        return self._of_kind[kind]

    def take(self, change: Change) -> None:
        """Put *change* in place."""
        for (kind, identifier), thing in change.items():
            before = self._of_kind[kind].get(identifier)
            if before is not None:
                self._per_project[before.project_id, kind] -= 1
            if thing is not None:
                self._per_project[thing.project_id, kind] += 1
        self._put(change)

    def _put(self, change: Change) -> None:
        for (kind, identifier), thing in change.items():
            known = self._of_kind[kind]
            before = known.get(identifier)
            if thing is None:
                known.pop(identifier, None)
                self._inside.pop(identifier, None)
            else:
                known[identifier] = thing
            self._file(kind, identifier, before, thing)

    def _file(
        self, kind: Kind, identifier: str, before: AnyObject | None, after: AnyObject | None
    ) -> None:
        old, new = _holder(before), _holder(after)
        if old == new:
            return
        if old is not None and old in self._inside:
            self._inside[old].pop((kind, identifier), None)
        if new is not None:
            self._inside[new][kind, identifier] = None

    def reverse(self, change: Change) -> Change:
        """The change that takes *change* back, worked out before it is taken."""
        return {(kind, one): self._of_kind[kind].get(one) for kind, one in change}

    def show_files(self, objects: Mapping[Name, AnyObject]) -> None:
        """Have *objects*, what the configuration's files declare, in place of what they did; no quota counts it."""
        before, self._from_files = self._from_files, objects
        self._put({name: None for name in before if name not in objects})
        self._put({name: one for name, one in objects.items() if before.get(name) is not one})

    def is_from_file(self, thing: AnyObject) -> bool:
        """Whether the configuration's files declare *thing*."""
        return name_of(thing) in self._from_files

    def count(self, project: str, kind: Kind) -> int:
        """How many objects of *kind* belong to *project*."""
        return self._per_project[project, kind]

    # one object; each raises the fault "not found"

    def load_balancer(self, identifier: str) -> LoadBalancer:
        """The load balancer of that identifier."""
        return _found(self.load_balancers, Kind.LOAD_BALANCER, identifier)

    def listener(self, identifier: str) -> Listener:
        """The listener of that identifier."""
        return _found(self.listeners, Kind.LISTENER, identifier)

    def pool(self, identifier: str) -> Pool:
        """The pool of that identifier."""
        return _found(self.pools, Kind.POOL, identifier)

    def member(self, pool: str, identifier: str) -> Member:
        """The member of that identifier in *pool*."""
        self.pool(pool)
        found = _found(self.members, Kind.MEMBER, identifier)
        if found.pool_id != pool:
            raise not_found(Kind.MEMBER, identifier)
        return found

    def monitor(self, identifier: str) -> HealthMonitor:
        """The health monitor of that identifier."""
        return _found(self.monitors, Kind.HEALTH_MONITOR, identifier)

    # what belongs together

    def listeners_of(self, load_balancer: str) -> tuple[Listener, ...]:
        """The listeners of a load balancer."""
        inside = self._inside.get(load_balancer, ())
        return tuple(self.listeners[one] for kind, one in inside if kind is Kind.LISTENER)

    def pools_of(self, load_balancer: str) -> tuple[Pool, ...]:
        """The pools of a load balancer."""
        inside = self._inside.get(load_balancer, ())
        return tuple(self.pools[one] for kind, one in inside if kind is Kind.POOL)

    def members_of(self, pool: str) -> tuple[Member, ...]:
        """The members of a pool."""
        inside = self._inside.get(pool, ())
        return tuple(self.members[one] for kind, one in inside if kind is Kind.MEMBER)

    def monitor_of(self, pool: str) -> HealthMonitor | None:
        """The health monitor of a pool, if it has one."""
        inside = self._inside.get(pool, ())
        found = [self.monitors[one] for kind, one in inside if kind is Kind.HEALTH_MONITOR]
        return found[0] if found else None

    def listeners_using(self, pool: Pool) -> tuple[Listener, ...]:
        """The listeners whose default pool *pool* is."""
        listeners = self.listeners_of(pool.load_balancer_id)
        return tuple(one for one in listeners if one.default_pool_id == pool.id)

    def tree(self, load_balancer: str) -> Tree:
        """A load balancer with everything in it. Raises the fault "not found"."""
        pools = self.pools_of(load_balancer)
        monitors = {pool.id: self.monitor_of(pool.id) for pool in pools}
        return Tree(
            load_balancer=self.load_balancer(load_balancer),
            listeners=self.listeners_of(load_balancer),
            pools=pools,
            members={pool.id: self.members_of(pool.id) for pool in pools},
            monitors={pool: monitor for pool, monitor in monitors.items() if monitor is not None},
        )

    def load_balancer_of(self, thing: AnyObject) -> LoadBalancer:
        """The load balancer that *thing* belongs to, or is."""
        if isinstance(thing, LoadBalancer):
            return thing
        if isinstance(thing, Member | HealthMonitor):
            thing = self.pools[thing.pool_id]
        return self.load_balancers[thing.load_balancer_id]


def _holder(thing: AnyObject | None) -> str | None:
    match thing:
        case Listener() | Pool():
            return thing.load_balancer_id
        case Member() | HealthMonitor():
            return thing.pool_id
        case _:
            return None


def _found(known: Mapping[str, T], kind: Kind, identifier: str) -> T:
    try:
        return known[identifier]
    except KeyError:
        raise not_found(kind, identifier) from None
