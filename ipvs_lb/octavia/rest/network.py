"""The slice of a network service that clients of load balancing use: networks, subnets, ports, floating IPs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from starlette.responses import Response

from ipvs_lb.octavia.desk import Desk
from ipvs_lb.octavia.faults import Fault, forbidden
from ipvs_lb.octavia.floating import FloatingIp, create_floating, update_floating
from ipvs_lb.octavia.listing import listed
from ipvs_lb.octavia.networks import ports
from ipvs_lb.octavia.render import Shown
from ipvs_lb.octavia.rest.answers import done, nothing
from ipvs_lb.octavia.rest.ask import Ask
from ipvs_lb.octavia.rest.network_views import (
    floating_to_json,
    network_to_json,
    port_to_json,
    subnet_to_json,
)
from ipvs_lb.octavia.rest.scene import Scene, page_of, with_fields

T = TypeVar("T")


class NetworkSlice:
    """The endpoints about networks."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def networks(self, ask: Ask) -> Response:
        """All networks."""
        return _listed(ask, "networks", map(network_to_json, self._desk.networks.networks.values()))

    async def network(self, ask: Ask) -> Response:
        """One network, by its identifier alone: clients try a name there first, and expect a 404."""
        known = self._desk.networks.networks
        return _shown(ask, "network", "Network", known, network_to_json)

    async def subnets(self, ask: Ask) -> Response:
        """All subnets."""
        return _listed(ask, "subnets", map(subnet_to_json, self._desk.networks.subnets.values()))

    async def subnet(self, ask: Ask) -> Response:
        """One subnet."""
        known = self._desk.networks.subnets
        return _shown(ask, "subnet", "Subnet", known, subnet_to_json)

    async def ports(self, ask: Ask) -> Response:
        """The ports of VIPs."""
        held = ports(self._desk.catalogue).values()
        rows = [port_to_json(one) for one in held if ask.caller.sees(one.load_balancer.project_id)]
        for wanted in ask.request.query_params.getlist("fixed_ips"):
            name, _, value = wanted.partition("=")
            rows = [row for row in rows if _has_fixed(row, name, value)]
        return _listed(ask, "ports", rows)

    async def port(self, ask: Ask) -> Response:
        """One port."""
        held = ports(self._desk.catalogue)
        known = {
            one: port
            for one, port in held.items()
            if ask.caller.sees(port.load_balancer.project_id)
        }
        return _shown(ask, "port", "Port", known, port_to_json)

    async def floating_ips(self, ask: Ask) -> Response:
        """All floating IPs."""
        rows = [
            self._floating(one)
            for one in self._desk.floating.values()
            if ask.caller.sees(one.project_id)
        ]
        return _listed(ask, "floatingips", rows)

    async def floating_ip(self, ask: Ask) -> Response:
        """One floating IP."""
        one = self._found(ask)
        return done({"floatingip": with_fields(ask, self._floating(one))})

    async def create_floating_ip(self, ask: Ask) -> Response:
        """A floating IP, leading to a port where the body names one."""
        body = await ask.body("floatingip", "body")
        author = self._desk.author(ask.project(body))
        self._may_lead(ask, body)
        occupied = self._scene.occupied()
        new = create_floating(
            body,
            author,
            self._desk.catalogue,
            self._desk.networks,
            self._desk.floating.values(),
            occupied=occupied,
        )
        await self._desk.take_floating(new.id, new)
        return done({"floatingip": self._floating(new)}, 201)

    async def update_floating_ip(self, ask: Ask) -> Response:
        """To a port, or to none."""
        self._must_change(ask, self._found(ask))
        body = await ask.body("floatingip", "body")
        self._may_lead(ask, body)
        desk = self._desk
        now = desk.author(ask.caller.project_id).now
        present = desk.floating.values()
        after = update_floating(self._found(ask), body, now, desk.catalogue, present)
        await desk.take_floating(after.id, after)
        return done({"floatingip": self._floating(after)})

    async def delete_floating_ip(self, ask: Ask) -> Response:
        """A floating IP."""
        one = self._found(ask)
        self._must_change(ask, one)
        await self._desk.take_floating(one.id, None)
        return nothing(204)

    async def extensions(self, _ask: Ask) -> Response:
        """None that a client has to know of."""
        return done({"extensions": []})

    @property
    def _desk(self) -> Desk:
        return self._scene.desk

    def _found(self, ask: Ask) -> FloatingIp:
        one = self._desk.floating.get(ask.step("id"))
        if one is None or not ask.caller.sees(one.project_id):
            raise _missing("FloatingIP", "Floating IP", ask.step("id"))
        return one

    def _must_change(self, ask: Ask, one: FloatingIp) -> None:
        if not ask.caller.changes(one.project_id):
            raise forbidden()

    def _may_lead(self, ask: Ask, body: Mapping[str, object]) -> None:
        """A port that the caller does not see is none for him."""
        port = str(body.get("port_id"))
        held = ports(self._desk.catalogue).get(port)
        if held is not None and not ask.caller.sees(held.load_balancer.project_id):
            raise _missing("Port", "Port", port)

    def _floating(self, one: FloatingIp) -> Shown:
        return floating_to_json(one, ports(self._desk.catalogue).get(one.port_id or ""))


def _missing(kind: str, words: str, identifier: str) -> Fault:
    return Fault(404, f"{words} {identifier[:64]} could not be found.", kind=f"{kind}NotFound")


def _shown(
    ask: Ask, key: str, kind: str, known: Mapping[str, T], render: Callable[[T], Shown]
) -> Response:
    found = known.get(ask.step("id"))
    if found is None:
        raise _missing(kind, kind, ask.step("id"))
    return done({key: with_fields(ask, render(found))})


def _listed(ask: Ask, key: str, rows: Iterable[Shown]) -> Response:
    """Those of *rows* that the query asks for; of several values for one field any will do."""
    rows = list(rows)
    query = [(name, value) for name, value in ask.query if name != "fixed_ips"]
    names = list(rows[0]) if rows else [name for name, _ in query]
    page = listed(
        rows,
        query,
        url=ask.url,
        fields=names,
        filters={name: name for name in names},
        any_of=True,
    )
    return page_of(key, page)


def _has_fixed(row: Shown, name: str, value: str) -> bool:
    fixed = row["fixed_ips"]
    assert isinstance(fixed, list)  # noqa: S101  # as it is rendered
    return any(isinstance(one, dict) and one.get(name) == value for one in fixed)
