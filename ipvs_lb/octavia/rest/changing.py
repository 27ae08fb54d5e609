"""The endpoints that change load balancers and what is in them: checked by `changes`, taken by the desk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from starlette.responses import Response

from ipvs_lb.octavia import changes
from ipvs_lb.octavia.catalogue import Change
from ipvs_lb.octavia.changes import Author
from ipvs_lb.octavia.faults import unknown_reference
from ipvs_lb.octavia.fields import Values
from ipvs_lb.octavia.networks import place_vips
from ipvs_lb.octavia.objects import AnyObject, Member, Provisioning, VipAddress, kind_of
from ipvs_lb.octavia.render import full_tree
from ipvs_lb.octavia.rest.answers import done, nothing
from ipvs_lb.octavia.rest.ask import Ask
from ipvs_lb.octavia.rest.scene import Scene

T = TypeVar("T", bound=AnyObject)
_LOAD_BALANCER = ("loadbalancer", "load_balancer")
_LISTENER = ("listener", "listener_")
_POOL = ("pool", "pool_")
_MEMBER = ("member", "member_")
_MONITOR = ("healthmonitor", "health_monitor_")


class Changing:
    """The endpoints that change objects."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    # load balancers

    async def create_load_balancer(self, ask: Ask) -> Response:
        """A load balancer, with everything that is nested in it."""
        body = await ask.body(*_LOAD_BALANCER)
        author = self._author(ask, body)
        made, change = changes.create_load_balancer(
            self._scene.catalogue, body, author, lambda values: self._place(values, author)
        )
        await self._take(change, made.id)
        catalogue = self._scene.catalogue
        tree = full_tree(catalogue.tree(made.id), catalogue, self._scene.sight.status())
        return done({"loadbalancer": tree}, 201)

    async def update_load_balancer(self, ask: Ask) -> Response:
        """New values."""
        ask.must_change(self._scene.catalogue.load_balancer(ask.step("id")))
        body = await ask.body(*_LOAD_BALANCER)
        updated = changes.update_load_balancer(self._scene.catalogue, ask.step("id"), body)
        return await self._taken(updated)

    async def delete_load_balancer(self, ask: Ask) -> Response:
        """Without what is in it, or with *cascade* with it."""
        ask.must_change(self._scene.catalogue.load_balancer(ask.step("id")))
        change = changes.delete_load_balancer(
            self._scene.catalogue, ask.step("id"), cascade=ask.is_set("cascade")
        )
        await self._take(change, ask.step("id"))
        return nothing(204)

    async def fail_over(self, ask: Ask) -> Response:
        """Everything anew."""
        ask.must_change(self._scene.catalogue.load_balancer(ask.step("id")))
        await self._take(changes.fail_over(self._scene.catalogue, ask.step("id")), ask.step("id"))
        return nothing(202)

    # listeners

    async def create_listener(self, ask: Ask) -> Response:
        """A listener."""
        body = await ask.body(*_LISTENER)
        made, change = changes.create_listener(self._scene.catalogue, body, self._author(ask))
        ask.must_change(self._scene.catalogue.load_balancers[made.load_balancer_id])
        return await self._taken((made, change), 201)

    async def update_listener(self, ask: Ask) -> Response:
        """New values."""
        ask.must_change(self._scene.catalogue.listener(ask.step("id")))
        body = await ask.body(*_LISTENER)
        return await self._taken(
            changes.update_listener(self._scene.catalogue, ask.step("id"), body)
        )

    async def delete_listener(self, ask: Ask) -> Response:
        """Its pools stay."""
        listener = self._scene.catalogue.listener(ask.step("id"))
        ask.must_change(listener)
        change = changes.delete_listener(self._scene.catalogue, listener.id)
        await self._take(change, listener.load_balancer_id)
        return nothing(204)

    # pools

    async def create_pool(self, ask: Ask) -> Response:
        """A pool."""
        body = await ask.body(*_POOL)
        made, change = changes.create_pool(self._scene.catalogue, body, self._author(ask))
        ask.must_change(self._scene.catalogue.load_balancers[made.load_balancer_id])
        return await self._taken((made, change), 201)

    async def update_pool(self, ask: Ask) -> Response:
        """New values."""
        ask.must_change(self._scene.catalogue.pool(ask.step("pool")))
        body = await ask.body(*_POOL)
        return await self._taken(changes.update_pool(self._scene.catalogue, ask.step("pool"), body))

    async def delete_pool(self, ask: Ask) -> Response:
        """With what is in it."""
        pool = self._scene.catalogue.pool(ask.step("pool"))
        ask.must_change(pool)
        change = changes.delete_pool(self._scene.catalogue, pool.id)
        await self._take(change, pool.load_balancer_id)
        return nothing(204)

    # members

    async def create_member(self, ask: Ask) -> Response:
        """A member."""
        pool = self._scene.catalogue.pool(ask.step("pool"))
        ask.must_change(pool)
        body = await ask.body(*_MEMBER)
        made = changes.create_member(self._scene.catalogue, pool.id, body, self._author(ask))
        return await self._taken(made, 201)

    async def update_member(self, ask: Ask) -> Response:
        """New values."""
        pool, one = ask.step("pool"), ask.step("id")
        ask.must_change(self._scene.catalogue.member(pool, one))
        body = await ask.body(*_MEMBER)
        return await self._taken(changes.update_member(self._scene.catalogue, pool, one, body))

    async def delete_member(self, ask: Ask) -> Response:
        """A member."""
        pool = self._scene.catalogue.pool(ask.step("pool"))
        ask.must_change(pool)
        change = changes.delete_member(self._scene.catalogue, pool.id, ask.step("id"))
        await self._take(change, pool.load_balancer_id)
        return nothing(204)

    async def replace_members(self, ask: Ask) -> Response:
        """All of a pool's at once, or with *additive_only* some more."""
        pool = self._scene.catalogue.pool(ask.step("pool"))
        ask.must_change(pool)
        bodies = await ask.items("members", "members_")
        additive = ask.is_set("additive_only")
        change = changes.replace_members(
            self._scene.catalogue, pool.id, bodies, self._author(ask), additive=additive
        )
        if change:
            await self._take(change, pool.load_balancer_id)
        return nothing(202)

    # health monitors

    async def create_monitor(self, ask: Ask) -> Response:
        """A health monitor."""
        body = await ask.body(*_MONITOR)
        made, change = changes.create_monitor(self._scene.catalogue, body, self._author(ask))
        ask.must_change(self._scene.catalogue.pools[made.pool_id])
        return await self._taken((made, change), 201)

    async def update_monitor(self, ask: Ask) -> Response:
        """New values."""
        ask.must_change(self._scene.catalogue.monitor(ask.step("id")))
        body = await ask.body(*_MONITOR)
        return await self._taken(
            changes.update_monitor(self._scene.catalogue, ask.step("id"), body)
        )

    async def delete_monitor(self, ask: Ask) -> Response:
        """A health monitor."""
        monitor = self._scene.catalogue.monitor(ask.step("id"))
        ask.must_change(monitor)
        change = changes.delete_monitor(self._scene.catalogue, monitor.id)
        await self._take(change, self._scene.catalogue.load_balancer_of(monitor).id)
        return nothing(204)

    # parts

    def _author(self, ask: Ask, body: Mapping[str, object] | None = None) -> Author:
        return self._scene.desk.author(ask.caller.project_id if body is None else ask.project(body))

    def _place(self, values: Values, author: Author) -> tuple[VipAddress, ...]:
        desk = self._scene.desk
        taken = desk.taken() | self._scene.occupied()
        return place_vips(values, desk.networks, taken, author.new_id)

    async def _taken(self, of: tuple[T, Change], status: int = 200) -> Response:
        """The answer that shows an object as a change has made it."""
        thing, change = of
        await self._take(change, self._load_balancer(thing))
        return done({kind_of(thing).value: self._scene.show(thing)}, status)

    def _load_balancer(self, thing: AnyObject) -> str:
        return self._scene.catalogue.load_balancer_of(thing).id

    async def _take(self, change: Change, load_balancer: str) -> None:
        self._check_subnets(change)
        await self._scene.desk.take(change, load_balancer)

    def _check_subnets(self, change: Change) -> None:
        """A new member can be in a subnet that is known, or in none that is named."""
        for thing in change.values():
            if isinstance(thing, Member) and thing.provisioning is Provisioning.PENDING_CREATE:
                subnet = thing.subnet_id
                if subnet is not None and subnet not in self._scene.desk.networks.subnets:
                    raise unknown_reference("Subnet", subnet)
