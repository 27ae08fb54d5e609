"""Takes changes: at once for who asks next, durably before it answers, then in the kernel.

Rules kept here:
1. A change is in place before anything is waited for, so that two requests never both find a load balancer free.
2. It is on the disk before the answer; one that cannot be written is taken back.
3. The kernel comes after the answer. Nothing is ACTIVE before the kernel has it; ERROR when the kernel refuses.
4. What was pending when the process died is put in force again by the next one; so is what was in force for less than
   a moment, the end of which had not been written (`ledger`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Protocol
from uuid import uuid4

from ipvs_lb.errors import LBError, StoreError
from ipvs_lb.model.cloud import OctaviaSettings
from ipvs_lb.model.config import DeclaredService
from ipvs_lb.model.identity import IPAddress, ServiceKey
from ipvs_lb.octavia import storage
from ipvs_lb.octavia.catalogue import Catalogue, Change
from ipvs_lb.octavia.changes import Author, settled
from ipvs_lb.octavia.compile import declared, is_wanted, keys_of
from ipvs_lb.octavia.faults import Fault
from ipvs_lb.octavia.floating import FloatingIp, answering, freed, used
from ipvs_lb.octavia.ledger import Ledger
from ipvs_lb.octavia.networks import Networks
from ipvs_lb.octavia.objects import Kind, Listener
from ipvs_lb.octavia.quotas import Quota

_MOMENT = 1e-6
"""Seconds between two objects that one request makes."""


def new_id() -> str:
    """An identifier that nothing else has."""
    return str(uuid4())


def _free(_key: ServiceKey) -> None:
    """Nothing is declared elsewhere."""


class Declare(Protocol):
    """Puts the services of a group in force beside all others."""

    async def __call__(self, group: str, services: Sequence[DeclaredService]) -> None:
        """Return once the kernel has them; raises LBError when it does not take them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the desk works with. `keep` writes named texts durably and raises StoreError; `clock` is Unix seconds.

    `claimed` says where the configuration's files declare a virtual service, if they do.
    """

    declare: Declare
    keep: Callable[[Mapping[str, str | None]], Awaitable[None]]
    clock: Callable[[], float]
    told: Callable[[str, Mapping[str, str]], None]
    claimed: Callable[[ServiceKey], str | None] = _free


class Desk:
    """All objects, and the way of a change through them."""

    def __init__(self, settings: OctaviaSettings, stored: storage.Stored, outside: Outside) -> None:
        self.settings = settings
        self.networks = _networks(settings)
        self.catalogue = Catalogue(stored.objects)
        self.floating = {one.id: one for one in stored.floating}
        self.quotas = stored.quotas
        self._outside = outside
        self._ledger = Ledger(outside.keep)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way: set[asyncio.Task[None]] = set()

    # what there is

    def groups(self, settings: OctaviaSettings) -> dict[str, tuple[DeclaredService, ...]]:
        """The services of every load balancer under *settings*, by its identifier."""
        return {
            one: self._declared(one, settings)
            for one, thing in self.catalogue.load_balancers.items()
            if not self.catalogue.is_from_file(thing)
        }

    def adopt(self, settings: OctaviaSettings) -> None:
        """Work by *settings* from now on."""
        self.settings = settings
        self.networks = _networks(settings)

    def taken(self) -> set[IPAddress]:
        """Every address that is given out."""
        return used(self.catalogue, self.floating.values())

    def limits(self, project: str) -> Mapping[str, int]:
        """How many of what *project* may have, where that is limited."""
        return {**self.settings.limits, **self.quotas.get(project, {})}

    def quota(self, project: str) -> Quota:
        """What *project* may have."""
        limits = self.limits(project)
        return Quota({kind: limits[kind] for kind in Kind if kind in limits})

    def author(self, project: str) -> Author:
        """Somebody who makes something in *project* now."""
        moments = count(self._outside.clock(), _MOMENT)
        return Author(
            project_id=project, moment=moments.__next__, new_id=new_id, quota_of=self.quota
        )

    def tell(self, event: str, facts: Mapping[str, str]) -> None:
        """Make an event of something that has happened here."""
        self._outside.told(event, facts)

    # changes

    async def take(self, change: Change, load_balancer: str) -> None:
        """Put *change* of *load_balancer* in place; durable when this returns, in force soon after. Raises Fault."""
        self._refuse_claimed(change, load_balancer)
        back = self.catalogue.reverse(change)
        self.catalogue.take(change)
        try:
            await self._keep(storage.texts(change))
        except Fault:
            self.catalogue.take(back)
            raise
        self._begin(load_balancer)

    async def take_floating(self, identifier: str, after: FloatingIp | None) -> None:
        """Put a floating IP in place, durable and in force when this returns. Raises Fault."""
        for load_balancer in self._holders(after):
            self._refuse_claims(self.catalogue.listeners_of(load_balancer), _addresses(after))
        before = self.floating.get(identifier)
        self._put_floating(identifier, after)
        try:
            await self._keep(storage.floating_text(identifier, after))
        except Fault:
            self._put_floating(identifier, before)
            raise
        for load_balancer in self._holders(before, after):
            await self._enforce(load_balancer)

    async def take_quota(self, project: str, limits: Mapping[str, int] | None) -> None:
        """Set what *project* may have, or with None only what everyone may. Raises Fault."""
        before = self.quotas.get(project)
        self._put_quota(project, limits)
        try:
            await self._keep(storage.quota_text(project, limits))
        except Fault:
            self._put_quota(project, before)
            raise

    def resume(self) -> None:
        """Go on with what was pending when the last process ended."""
        for one, load_balancer in self.catalogue.load_balancers.items():
            if load_balancer.provisioning.is_pending:
                self._begin(one)

    async def finish(self) -> None:
        """Return when no change is under way, and all is written."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))
        await self._ledger.settle()

    def _refuse_claimed(self, change: Change, load_balancer: str) -> None:
        """Raise a fault where *change* is about a virtual service that the configuration's files declare."""
        listeners = [thing for thing in change.values() if isinstance(thing, Listener)]
        if listeners and load_balancer in self.catalogue.load_balancers:
            tree = self.catalogue.tree(load_balancer)
            vips = answering(tree, self.floating.values(), self.networks)
            self._refuse_claims(listeners, [vip.address for vip in vips])

    def _refuse_claims(self, listeners: Iterable[Listener], addresses: Sequence[IPAddress]) -> None:
        for listener in listeners:
            for key in keys_of(listener, addresses) if is_wanted(listener) else ():
                place = self._outside.claimed(key)
                if place is not None:
                    text = f"Virtual service {key} is already declared at {place}."
                    raise Fault(409, text, kind="Conflict")

    def _put_quota(self, project: str, limits: Mapping[str, int] | None) -> None:
        if limits is None:
            self.quotas.pop(project, None)
        else:
            self.quotas[project] = dict(limits)

    def _put_floating(self, identifier: str, one: FloatingIp | None) -> None:
        if one is None:
            self.floating.pop(identifier, None)
        else:
            self.floating[identifier] = one

    def _holders(self, *several: FloatingIp | None) -> Iterable[str]:
        """The load balancers that floating IPs lead to."""
        wanted = {one.port_id for one in several if one is not None and one.port_id is not None}
        for load_balancer in tuple(self.catalogue.load_balancers.values()):
            if wanted & {vip.port_id for vip in load_balancer.vips}:
                yield load_balancer.id

    async def _keep(self, texts: Mapping[str, str | None]) -> None:
        try:
            await self._ledger.keep(texts)
        except StoreError as error:
            raise Fault(503, f"The change could not be written down: {error}") from error

    # bringing in force

    def _begin(self, load_balancer: str) -> None:
        task = asyncio.get_running_loop().create_task(
            self._settle(load_balancer), name=f"octavia {load_balancer}"
        )
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _settle(self, load_balancer: str) -> None:
        """Bring what is pending in force, and say so."""
        failed = not await self._enforce(load_balancer)
        change = settled(self.catalogue, load_balancer, self._outside.clock(), failed=failed)
        texts = storage.texts(change)
        if (Kind.LOAD_BALANCER, load_balancer) in change:
            texts |= self._freed(load_balancer, change)
        self._ledger.owe(texts)
        self.catalogue.take(change)
        if load_balancer not in self.catalogue.load_balancers:
            self._locks.pop(load_balancer, None)

    async def _enforce(self, load_balancer: str) -> bool:
        async with self._locks[load_balancer]:
            if load_balancer not in self.catalogue.load_balancers:
                return True
            try:
                await self._declare(load_balancer)
            except Exception as error:  # noqa: BLE001  # a bug must not leave a load balancer PENDING for ever
                reason = str(error) if isinstance(error, LBError) else repr(error)
                facts = {"load_balancer": load_balancer, "reason": reason}
                self._outside.told("octavia.refused", facts)
                return False
            return True

    async def _declare(self, load_balancer: str) -> None:
        """Once more where the settings have changed while it waited."""
        settings = None
        while settings is not self.settings:
            settings = self.settings
            await self._outside.declare(load_balancer, self._declared(load_balancer, settings))

    def _declared(
        self, load_balancer: str, settings: OctaviaSettings
    ) -> tuple[DeclaredService, ...]:
        tree = self.catalogue.tree(load_balancer)
        vips = answering(tree, self.floating.values(), _networks(settings))
        return declared(tree, vips, source_nat=settings.source_nat)

    def _freed(self, load_balancer: str, change: Change) -> dict[str, str | None]:
        """Floating IPs of a load balancer that is gone lead nowhere."""
        if change[Kind.LOAD_BALANCER, load_balancer] is not None:
            return {}
        texts: dict[str, str | None] = {}
        ports = {vip.port_id for vip in self.catalogue.load_balancer(load_balancer).vips}
        for one in list(self.floating.values()):
            if one.port_id in ports:
                loose = freed(one, self._outside.clock())
                self._put_floating(one.id, loose)
                texts |= storage.floating_text(one.id, loose)
        return texts


def _networks(settings: OctaviaSettings) -> Networks:
    return Networks(settings.networks, guard_vips=settings.guard_vips)


def _addresses(one: FloatingIp | None) -> list[IPAddress]:
    return [] if one is None else [one.address]
