"""The endpoints: from a checked request through `Control` to an answer."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ipvs_lb.api import bodies
from ipvs_lb.api.checks import identity_to_json, outcome_to_json
from ipvs_lb.api.endpoints import ENDPOINTS
from ipvs_lb.api.health import health_to_json
from ipvs_lb.api.long_list import LongList
from ipvs_lb.api.openapi import openapi
from ipvs_lb.api.peers import Peer, name_of
from ipvs_lb.api.refusals import RefusalError, answer
from ipvs_lb.api.requests import read_body, read_query
from ipvs_lb.api.scene import Scene, Shown, only
from ipvs_lb.api.select import select, server_names, service_names
from ipvs_lb.api.servers import explanations_to_json, servers_to_json
from ipvs_lb.api.states import State
from ipvs_lb.api.streams import MAX_STREAMS, Parts, Streams, event_stream, follow, in_parts, pieces
from ipvs_lb.api.traffic import note_route
from ipvs_lb.api.views import overview_to_json, services_to_json, summaries_to_json
from ipvs_lb.engine.control import Control
from ipvs_lb.errors import KernelError, LBError
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.overrides import Override
from ipvs_lb.policy import Decision, Member, Seat
from ipvs_lb.serial import JSON, event_to_json

MAX_NAMES = 200
MAX_CHECKED = 1000
"""Servers that can be probed out of turn at once."""
DECISION_TIME = 1.0
"""Seconds an order's answer waits for the decision that follows from it; the order stands in any case."""

_Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The endpoints of one gateway, and *more* of other faces beside them."""

    def __init__(self, control: Control, streams: Streams, more: Sequence[Route] = ()) -> None:
        self._control = control
        self._streams = streams
        self._more = more

    def app(self) -> Starlette:
        """All of it as an ASGI application."""
        handlers = {
            "status": self.status,
            "services": self.services,
            "servers": self.servers,
            "explain": self.explain,
            "names": self.names,
            "override": self.override,
            "take_back": self.take_back,
            "check": self.check,
            "reload": self.reload,
            "announce": self.announce,
            "events": self.events,
            "health": self.health,
        }
        paths: dict[str, dict[str, _Handler]] = {}
        for endpoint in ENDPOINTS:
            paths.setdefault(endpoint.path, {})[endpoint.method] = handlers[endpoint.name]
        routes = [Route(path, _one_of(path, by), methods=[*by]) for path, by in paths.items()]
        documents = [Route(path, self.document) for path in ("/openapi.json", "/v1/openapi.json")]
        return Starlette(
            routes=[*routes, *documents, *self._more],
            exception_handlers={LBError: answer, HTTPException: answer, Exception: answer},
        )

    async def status(self, request: Request) -> Response:
        """The gateway with everything in it."""
        scene, shown = await self._filtered(request)
        overview = await to_thread(overview_to_json, scene)
        return _list(overview, "services", services_to_json(scene, shown))

    async def services(self, request: Request) -> Response:
        """Services without their servers."""
        scene, shown = await self._filtered(request)
        return _list(_head("services", scene), "services", summaries_to_json(scene, shown))

    async def servers(self, request: Request) -> Response:
        """Servers alone."""
        scene, shown = await self._filtered(request)
        return _servers(_head("servers", scene), scene, shown)

    async def explain(self, request: Request) -> Response:
        """Servers with their reasons."""
        within = read_query(request, bodies.Within).service
        scene, shown = await self._meant([request.path_params["server"]], within)
        return _list(_head("explain", scene), "servers", explanations_to_json(scene, shown))

    async def names(self, request: Request) -> Response:
        """What can be typed."""
        prefix = read_query(request, bodies.NamesQuery).prefix
        scene = Scene(snapshot=self._control.snapshot())
        return JSONResponse(await to_thread(_names, scene, prefix))

    async def override(self, request: Request) -> Response:
        """A new standing order."""
        body = await read_body(request, bodies.OverrideBody)
        who = await name_of(_peer(request))
        snapshot = self._control.snapshot()
        override = Override(
            action=body.action,
            weight=body.weight,
            since=snapshot.at,
            expires=None if body.duration is None else snapshot.at + body.duration,
            reason=body.reason,
            who=who,
        )
        return await self._order(Scene(snapshot=snapshot), body.servers, body.services, override)

    async def take_back(self, request: Request) -> Response:
        """No standing order any more."""
        query = read_query(request, bodies.TakeBack)
        scene = Scene(snapshot=self._control.snapshot())
        return await self._order(scene, query.server, query.service, None)

    async def check(self, request: Request) -> Response:
        """Probes out of turn."""
        body = await read_body(request, bodies.CheckBody)
        scene = Scene(snapshot=self._control.snapshot())
        seats, _ = await to_thread(_able, scene, body.servers, body.services)
        if len(seats) > MAX_CHECKED:
            raise RefusalError(422, f"{len(seats)} servers at once, expected at most {MAX_CHECKED}")
        outcomes = await self._control.check([seat.member for seat in seats])
        names = {seat.member: _name(scene, seat) for seat in seats}
        probes: list[dict[str, JSON]] = [
            {
                **identity_to_json(probe),
                "servers": [names[seat.member] for seat in seats if probe in seat.probes],
                "result": outcome_to_json(outcome),
            }
            for probe, outcome in outcomes.items()
        ]
        passed = all(outcome.result.passed for outcome in outcomes.values())
        unchecked = [
            names[seat.member] for seat in seats if outcomes.keys().isdisjoint(seat.probes)
        ]
        told = {**_schema("check"), "passed": passed, "probes": probes, "unchecked": unchecked}
        return JSONResponse(told)

    async def reload(self, _request: Request) -> Response:
        """The configuration anew."""
        await self._control.reload()
        return self._done("reload")

    async def announce(self, _request: Request) -> Response:
        """The VIPs once more."""
        await self._control.announce()
        return self._done("announce")

    async def events(self, request: Request) -> Response:
        """What happened, and what will."""
        query = read_query(request, bodies.EventsQuery)
        last = self._control.snapshot().last_event
        after = _resumed(request, query.after)
        after = after if after <= last else 0  # numbered by a daemon whose memory is lost
        if query.follow:
            return self._follow(after)
        events = self._control.events(after)
        return JSONResponse(
            {
                **_schema("events"),
                "events": [event_to_json(event) for event in events],
                "last": last,
                "lost": bool(events) and events[0].number > after + 1,
            }
        )

    def _follow(self, after: int) -> Response:
        if self._streams.is_full:
            raise RefusalError(503, f"{MAX_STREAMS} others follow events already")
        return follow(event_stream(self._control, after, self._streams))

    async def health(self, _request: Request) -> Response:
        """How the gateway is."""
        health = await to_thread(health_to_json, self._control.snapshot())
        return JSONResponse(health, 503 if health["status"] == "failing" else 200)

    async def document(self, request: Request) -> Response:
        """This API's description."""
        note_route(request.scope, "/openapi.json")
        return JSONResponse(openapi())

    async def _scene(self, keys: Set[ServiceKey] | None = None) -> Scene:
        """What is to see now, with the kernel's counters of the services *keys*, or of all, where it can be asked."""
        try:
            statistics = await self._control.statistics(keys)
        except KernelError as error:
            return Scene(snapshot=self._control.snapshot(), trouble=str(error))
        return Scene(snapshot=self._control.snapshot(), statistics=statistics)

    async def _filtered(self, request: Request) -> tuple[Scene, Shown]:
        wanted = read_query(request, bodies.Filter)
        states = frozenset(wanted.state)
        if not wanted.server and not wanted.service:
            return await self._scene(), Shown(states=states)
        return await self._meant(wanted.server, wanted.service, states)

    async def _meant(
        self,
        patterns: Sequence[str],
        services: Sequence[str],
        states: Set[State] = frozenset(),
    ) -> tuple[Scene, Shown]:
        """The servers that are meant, in any of *states*, with the counters of their services alone.

        Raises RefusalError when a pattern means nothing.
        """
        present = Scene(snapshot=self._control.snapshot())
        shown = only(await to_thread(_chosen, present, patterns, services), states)
        return await self._scene(shown.keys), shown

    async def _order(
        self,
        scene: Scene,
        patterns: Sequence[str],
        services: Sequence[str],
        override: Override | None,
    ) -> Response:
        seats, skipped = await to_thread(_able, scene, patterns, services)
        members = [seat.member for seat in seats]
        await self._control.order(members, override)
        await self._decided({member.key for member in members}, scene.snapshot.decision)
        shown = only(members)
        after = await self._scene(shown.keys)
        return _servers({**_head("order", after), "skipped": skipped}, after, shown)

    async def _decided(self, keys: Set[ServiceKey], before: Decision) -> None:
        """Wait, not for long, until there are other decisions than *before* on the services *keys*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DECISION_TIME):
                while True:
                    now = self._control.snapshot().decision.services
                    if all(now.get(key) is not before.services.get(key) for key in keys):
                        return
                    await asyncio.sleep(DECISION_TIME / 50)

    def _done(self, what: str) -> Response:
        services = self._control.snapshot().decision.services.values()
        servers = sum(len(service.rulings) for service in services)
        told = {"done": what, "service_count": len(services), "server_count": servers}
        return JSONResponse({**_schema("done"), **told})


def _one_of(path: str, handlers: Mapping[str, _Handler]) -> _Handler:
    """The handler of a path: one route for all methods, so that a refusal of others can name these."""

    async def handle(request: Request) -> Response:
        note_route(request.scope, path.replace(":path", ""))
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


def _schema(name: str) -> dict[str, JSON]:
    return {"schema": f"ipvs_lb/{name}/1"}


def _head(name: str, scene: Scene) -> dict[str, JSON]:
    return {**_schema(name), "at": scene.snapshot.at}


def _list(head: Mapping[str, JSON], name: str, items: Iterable[JSON | LongList | None]) -> Response:
    return Parts(in_parts(pieces(LongList(head, name, items))), media_type="application/json")


def _servers(head: Mapping[str, JSON], scene: Scene, shown: Shown) -> Response:
    keys = shown.of((*scene.snapshot.decision.services, *scene.foreign))
    servers = (server for key in keys for server in servers_to_json(scene, key, shown))
    return _list(head, "servers", servers)


def _names(scene: Scene, prefix: str) -> dict[str, JSON]:
    listings = scene.listings
    return {
        **_schema("names"),
        "services": [*service_names(listings, prefix, MAX_NAMES)],
        "servers": [*server_names(listings, prefix, MAX_NAMES)],
    }


def _able(
    scene: Scene, patterns: Sequence[str], services: Sequence[str]
) -> tuple[list[Seat], list[Mapping[str, JSON]]]:
    return _divided(scene, _chosen(scene, patterns, services))


def _chosen(scene: Scene, patterns: Sequence[str], services: Sequence[str]) -> tuple[Member, ...]:
    """The members that were meant. Raises RefusalError when a pattern means nothing."""
    selection = select(scene.listings, patterns, services=services)
    if selection.unknown:
        raise RefusalError(
            404,
            "; ".join(selection.unknown[:3]),
            hint="`ipvs-lb status` lists what there is",
            problems=selection.unknown,
        )
    return selection.members


def _divided(scene: Scene, chosen: Sequence[Member]) -> tuple[list[Seat], list[Mapping[str, JSON]]]:
    """The seats of *chosen* that can follow an order, and the others with the reason.

    Raises RefusalError when none can.
    """
    wanted = frozenset(chosen)
    layouts = scene.snapshot.layouts.values()
    seats = {s.member: s for layout in layouts for s in layout.seats if s.member in wanted}
    able = [seat for seat in seats.values() if not seat.server.disabled]
    reasons = [
        (member, "it is disabled in the configuration" if member in seats else _FOREIGN)
        for member in chosen
        if member not in seats or seats[member].server.disabled
    ]
    if not able:
        problems = [f"{member}: {reason}" for member, reason in reasons]
        raise RefusalError(409, problems[0], problems=problems)
    skipped = [
        {
            "service": str(member.key),
            "name": seats[member].server.name if member in seats else str(member.server),
            "reason": reason,
        }
        for member, reason in reasons
    ]
    return able, list(skipped)


_FOREIGN = "it is not in the configuration"


def _name(scene: Scene, seat: Seat) -> str:
    return f"{scene.snapshot.layouts[seat.member.key].declared.name}/{seat.server.name}"


def _peer(request: Request) -> Peer:
    peer = request.scope["state"]["peer"]
    assert isinstance(peer, Peer)  # noqa: S101  # our own protocol put it there
    return peer


def _resumed(request: Request, after: int) -> int:
    """Where a browser's EventSource that was interrupted wants to go on."""
    last = request.headers.get("last-event-id", "")
    return max(after, int(last)) if last.isascii() and last.isdigit() and len(last) < 19 else after  # noqa: PLR2004  # 64 bits
