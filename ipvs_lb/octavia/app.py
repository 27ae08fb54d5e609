"""The compatible API as one application: every path, and the door before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ipvs_lb.api.traffic import note_route
from ipvs_lb.errors import LBError
from ipvs_lb.octavia.auth import Credentials
from ipvs_lb.octavia.rest import absent, discovery
from ipvs_lb.octavia.rest.answers import answer
from ipvs_lb.octavia.rest.ask import Ask
from ipvs_lb.octavia.rest.changing import Changing
from ipvs_lb.octavia.rest.front import Front
from ipvs_lb.octavia.rest.identity import IdentitySlice, address_of
from ipvs_lb.octavia.rest.limits import Limits
from ipvs_lb.octavia.rest.network import NetworkSlice
from ipvs_lb.octavia.rest.objects import Looking
from ipvs_lb.octavia.rest.scene import Scene
from ipvs_lb.octavia.rest.telling import Telling

LB = "/v2.0/lbaas"
_READING = frozenset({"GET", "HEAD"})
Handler = Callable[[Ask], Awaitable[Response]]
Open = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method of a path, and what answers there to those who are known."""

    method: str
    path: str
    handler: Handler


def create_app(scene: Scene) -> ASGIApp:
    """The application; it answers from *scene*, and changes it."""
    closed = [_route(endpoint, scene) for endpoint in endpoints(scene)]
    return Front(
        Starlette(
            routes=[*_open(scene), *closed],
            exception_handlers={LBError: answer, HTTPException: answer, Exception: answer},
        )
    )


def endpoints(scene: Scene) -> Iterator[Endpoint]:
    """All that is for those who are known."""
    yield from _load_balancing(Looking(scene), Changing(scene), Telling(scene))
    yield from _limits(Limits(scene))
    yield from _absent()
    yield from _network(NetworkSlice(scene))


def _load_balancing(look: Looking, change: Changing, tell: Telling) -> Iterator[Endpoint]:
    for collection, place, handlers in (
        (
            "/loadbalancers",
            "/{id}",
            (
                look.load_balancers,
                change.create_load_balancer,
                look.load_balancer,
                change.update_load_balancer,
                change.delete_load_balancer,
            ),
        ),
        (
            "/listeners",
            "/{id}",
            (
                look.listeners,
                change.create_listener,
                look.listener,
                change.update_listener,
                change.delete_listener,
            ),
        ),
        (
            "/pools",
            "/{pool}",
            (look.pools, change.create_pool, look.pool, change.update_pool, change.delete_pool),
        ),
        (
            "/pools/{pool}/members",
            "/{id}",
            (
                look.members,
                change.create_member,
                look.member,
                change.update_member,
                change.delete_member,
            ),
        ),
        (
            "/healthmonitors",
            "/{id}",
            (
                look.monitors,
                change.create_monitor,
                look.monitor,
                change.update_monitor,
                change.delete_monitor,
            ),
        ),
    ):
        every, create, one, update, delete = handlers
        path = f"{LB}{collection}"
        yield Endpoint("GET", path, every)
        yield Endpoint("POST", path, create)
        yield Endpoint("GET", path + place, one)
        yield Endpoint("PUT", path + place, update)
        yield Endpoint("DELETE", path + place, delete)
    balancer = f"{LB}/loadbalancers/{{id}}"
    yield Endpoint("PUT", f"{LB}/pools/{{pool}}/members", change.replace_members)
    yield Endpoint("PUT", f"{balancer}/failover", change.fail_over)
    yield Endpoint("GET", f"{balancer}/stats", tell.load_balancer_stats)
    yield Endpoint("GET", f"{balancer}/status", tell.statuses)
    yield Endpoint("GET", f"{balancer}/statuses", tell.statuses)
    yield Endpoint("GET", f"{LB}/listeners/{{id}}/stats", tell.listener_stats)
    provider = f"{LB}/providers/{{provider}}"
    yield Endpoint("GET", f"{LB}/providers", tell.providers)
    yield Endpoint("GET", f"{provider}/flavor_capabilities", tell.flavor_capabilities)
    yield Endpoint("GET", f"{provider}/availability_zone_capabilities", tell.zone_capabilities)


def _limits(limits: Limits) -> Iterator[Endpoint]:
    yield Endpoint("GET", f"{LB}/quotas", limits.quotas)
    yield Endpoint("GET", f"{LB}/quotas/defaults", limits.defaults)
    yield Endpoint("GET", f"{LB}/quotas/{{project}}/default", limits.defaults)
    yield Endpoint("GET", f"{LB}/quotas/{{project}}", limits.quota)
    yield Endpoint("PUT", f"{LB}/quotas/{{project}}", limits.set_quota)
    yield Endpoint("DELETE", f"{LB}/quotas/{{project}}", limits.reset_quota)


def _absent() -> Iterator[Endpoint]:
    for what in absent.ABSENT:
        path = f"/v2.0/octavia/{what}" if what == "amphorae" else f"{LB}/{what}"
        yield Endpoint("GET", path, absent.none)
        yield Endpoint("POST", path, absent.refused)
        for method in ("GET", "PUT", "DELETE"):
            yield Endpoint(method, f"{path}/{{id}}", absent.missing)


def _network(network: NetworkSlice) -> Iterator[Endpoint]:
    yield Endpoint("GET", "/v2.0/networks", network.networks)
    yield Endpoint("GET", "/v2.0/networks/{id}", network.network)
    yield Endpoint("GET", "/v2.0/subnets", network.subnets)
    yield Endpoint("GET", "/v2.0/subnets/{id}", network.subnet)
    yield Endpoint("GET", "/v2.0/ports", network.ports)
    yield Endpoint("GET", "/v2.0/ports/{id}", network.port)
    yield Endpoint("GET", "/v2.0/floatingips", network.floating_ips)
    yield Endpoint("POST", "/v2.0/floatingips", network.create_floating_ip)
    yield Endpoint("GET", "/v2.0/floatingips/{id}", network.floating_ip)
    yield Endpoint("PUT", "/v2.0/floatingips/{id}", network.update_floating_ip)
    yield Endpoint("DELETE", "/v2.0/floatingips/{id}", network.delete_floating_ip)
    yield Endpoint("GET", "/v2.0/extensions", network.extensions)


def _open(scene: Scene) -> list[Route]:
    """What everybody can reach: which versions there are, and how to become known."""
    identity = IdentitySlice(scene.door)
    routes: list[tuple[str, str, Open]] = [
        ("GET", "/", discovery.versions),
        ("GET", "/v2.0", discovery.version),
        ("GET", LB, discovery.version),
        ("GET", "/identity", identity.versions),
        ("GET", "/identity/v3", identity.version),
        ("POST", "/identity/v3/auth/tokens", identity.issue),
        ("GET", "/identity/v3/auth/tokens", identity.show),
        ("DELETE", "/identity/v3/auth/tokens", identity.revoke),
    ]
    for base in ("", "/identity", "/identity/v3"):
        for what in ("projects", "tenants"):
            routes.append(("GET", f"{base}/{what}", identity.refuse))
            routes.append(("GET", f"{base}/{what}/{{id:path}}", identity.refuse))
    return [Route(path, handler, methods=[method]) for method, path, handler in routes]


def _route(endpoint: Endpoint, scene: Scene) -> Route:
    async def handle(request: Request) -> Response:
        note_route(request.scope, endpoint.path)
        given = Credentials(
            authorization=request.headers.get("authorization", ""),
            token=request.headers.get("x-auth-token", ""),
            address=address_of(request),
        )
        caller = await scene.door.caller(given)
        response = await endpoint.handler(Ask(request, caller))
        if endpoint.method not in _READING:
            _note(scene, request, caller.name)
        return response

    return Route(endpoint.path, handle, methods=[endpoint.method])


def _note(scene: Scene, request: Request, name: str) -> None:
    """Who changed what."""
    facts = {
        "user": name,
        "address": address_of(request),
        "request": cast("str", request.scope["request_id"]),
        "what": f"{request.method} {request.scope['path']}",
    }
    scene.desk.tell("octavia.changed", facts)
