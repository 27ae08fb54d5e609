"""Lists and single objects of every kind: looking, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from starlette.responses import Response

from ipvs_lb.octavia.listing import Lazy
from ipvs_lb.octavia.objects import AnyObject, Kind, kind_of
from ipvs_lb.octavia.render import FIELD_NAMES, in_itself, shown
from ipvs_lb.octavia.rest.answers import done
from ipvs_lb.octavia.rest.ask import Ask
from ipvs_lb.octavia.rest.scene import Scene, list_rows, project_filter, with_fields

_LOAD_BALANCER = dict.fromkeys(("loadbalancer_id", "load_balancer_id"), "loadbalancers")
_HOLDERS: Mapping[Kind, Mapping[str, str]] = {
    Kind.LISTENER: _LOAD_BALANCER,
    Kind.POOL: _LOAD_BALANCER,
    Kind.HEALTH_MONITOR: {"pool_id": "pools"},
}
"""What an object belongs to can be filtered by: the name of the filter, and the field that shows it.

The SDK says `load_balancer_id`, everybody else `loadbalancer_id`.
"""
FILTERS: Mapping[Kind, Mapping[str, str]] = {
    kind: {**{name: name for name in names}, "tenant_id": "project_id", **_HOLDERS.get(kind, {})}
    for kind, names in FIELD_NAMES.items()
}


class Looking:
    """The endpoints that show objects."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def load_balancers(self, ask: Ask) -> Response:
        """All load balancers."""
        return self._list(ask, Kind.LOAD_BALANCER, self._scene.catalogue.load_balancers.values())

    async def listeners(self, ask: Ask) -> Response:
        """All listeners."""
        return self._list(ask, Kind.LISTENER, self._scene.catalogue.listeners.values())

    async def pools(self, ask: Ask) -> Response:
        """All pools."""
        return self._list(ask, Kind.POOL, self._scene.catalogue.pools.values())

    async def members(self, ask: Ask) -> Response:
        """The members of a pool."""
        pool = self._scene.catalogue.pool(ask.step("pool"))
        ask.must_see(pool.project_id)
        return self._list(ask, Kind.MEMBER, self._scene.catalogue.members_of(pool.id))

    async def monitors(self, ask: Ask) -> Response:
        """All health monitors."""
        return self._list(ask, Kind.HEALTH_MONITOR, self._scene.catalogue.monitors.values())

    async def load_balancer(self, ask: Ask) -> Response:
        """One load balancer."""
        return self._one(ask, self._scene.catalogue.load_balancer(ask.step("id")))

    async def listener(self, ask: Ask) -> Response:
        """One listener."""
        return self._one(ask, self._scene.catalogue.listener(ask.step("id")))

    async def pool(self, ask: Ask) -> Response:
        """One pool."""
        return self._one(ask, self._scene.catalogue.pool(ask.step("pool")))

    async def member(self, ask: Ask) -> Response:
        """One member."""
        return self._one(ask, self._scene.catalogue.member(ask.step("pool"), ask.step("id")))

    async def monitor(self, ask: Ask) -> Response:
        """One health monitor."""
        return self._one(ask, self._scene.catalogue.monitor(ask.step("id")))

    def _one(self, ask: Ask, thing: AnyObject) -> Response:
        ask.must_see(thing.project_id)
        return done({kind_of(thing).value: with_fields(ask, self._scene.show(thing))})

    def _list(self, ask: Ask, kind: Kind, things: Iterable[AnyObject]) -> Response:
        catalogue, status = self._scene.catalogue, self._scene.sight.status()
        rows = (
            Lazy(in_itself(thing), partial(shown, thing, catalogue, status))
            for thing in _narrowed(ask, things)
        )
        return list_rows(ask, kind.plural, rows, fields=FIELD_NAMES[kind], filters=FILTERS[kind])


def _narrowed(ask: Ask, things: Iterable[AnyObject]) -> Iterable[AnyObject]:
    """Those of *things* that have the project, name and identifier asked for: rendering the others would be in vain."""
    project = project_filter(ask)
    asked = ask.request.query_params
    name, identifier = asked.get("name"), asked.get("id")
    for thing in tuple(things):
        if project is not None and thing.project_id != project:
            continue
        if (name is None or thing.name == name) and identifier in {None, thing.id}:
            yield thing
