"""What is observed: statistics, the tree of states, and who provides it."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.octavia.compile import keys_of
from ipvs_lb.octavia.faults import Fault
from ipvs_lb.octavia.floating import answering
from ipvs_lb.octavia.objects import Listener
from ipvs_lb.octavia.render import status_tree
from ipvs_lb.octavia.rest.answers import done
from ipvs_lb.octavia.rest.ask import Ask
from ipvs_lb.octavia.rest.scene import Scene, with_fields
from ipvs_lb.octavia.sight import traffic

PROVIDER = "ipvs"
_PROVIDERS = ({"name": PROVIDER, "description": "Layer 4 in the kernel of this gateway (IPVS)."},)


class Telling:
    """The endpoints that tell what is observed."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def load_balancer_stats(self, ask: Ask) -> Response:
        """What went through a load balancer."""
        load_balancer = self._scene.catalogue.load_balancer(ask.step("id"))
        ask.must_see(load_balancer.project_id)
        return await self._stats(self._scene.catalogue.listeners_of(load_balancer.id))

    async def listener_stats(self, ask: Ask) -> Response:
        """What went through a listener."""
        listener = self._scene.catalogue.listener(ask.step("id"))
        ask.must_see(listener.project_id)
        return await self._stats([listener])

    async def _stats(self, listeners: Iterable[Listener]) -> Response:
        desk = self._scene.desk
        keys: set[ServiceKey] = set()
        for listener in listeners:
            tree = desk.catalogue.tree(listener.load_balancer_id)
            vips = answering(tree, desk.floating.values(), desk.networks)
            keys.update(keys_of(listener, (vip.address for vip in vips)))
        return done({"stats": traffic(await self._scene.statistics(keys), keys)})

    async def statuses(self, ask: Ask) -> Response:
        """The tree of states."""
        tree = self._scene.catalogue.tree(ask.step("id"))
        ask.must_see(tree.load_balancer.project_id)
        return done(status_tree(tree, self._scene.sight.status()))

    async def providers(self, ask: Ask) -> Response:
        """The one there is."""
        return done({"providers": [with_fields(ask, {**one}) for one in _PROVIDERS]})

    async def flavor_capabilities(self, ask: Ask) -> Response:
        """What a flavor could say to a provider: nothing."""
        return _nothing_to_choose(ask, "flavor_capabilities")

    async def zone_capabilities(self, ask: Ask) -> Response:
        """What an availability zone could say to a provider: nothing."""
        return _nothing_to_choose(ask, "availability_zone_capabilities")


def _nothing_to_choose(ask: Ask, key: str) -> Response:
    ask.must_be_admin()
    provider = ask.step("provider")
    if provider not in {PROVIDER, "octavia"}:
        raise Fault(400, f"Provider '{provider[:64]}' is not enabled.")
    return done({key: []})
