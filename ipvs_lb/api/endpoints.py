"""The API's endpoints as data: the routes and the OpenAPI document are made from this table."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from ipvs_lb.api import answers, bodies

_NAMED = (404, 422)
_ORDERS = (400, 404, 408, 409, 413, 415, 422, 500, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path, what it takes, what it answers, and with which statuses it refuses."""

    name: str
    method: str
    path: str
    summary: str
    answer: type
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    refusals: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    media_types: tuple[str, ...] = ("application/json",)


ENDPOINTS = (
    Endpoint(
        name="status",
        method="GET",
        path="/v1/status",
        summary="The gateway with its services and servers.",
        query=bodies.Filter,
        answer=answers.Status,
        refusals=_NAMED,
    ),
    Endpoint(
        name="services",
        method="GET",
        path="/v1/services",
        summary="Services without their servers.",
        query=bodies.Filter,
        answer=answers.Services,
        refusals=_NAMED,
    ),
    Endpoint(
        name="servers",
        method="GET",
        path="/v1/servers",
        summary="Servers, each with its service.",
        query=bodies.Filter,
        answer=answers.Servers,
        refusals=_NAMED,
    ),
    Endpoint(
        name="explain",
        method="GET",
        path="/v1/servers/{server:path}/explain",
        summary="Why servers are where they are, and what would change it.",
        query=bodies.Within,
        answer=answers.Explanations,
        refusals=_NAMED,
    ),
    Endpoint(
        name="names",
        method="GET",
        path="/v1/names",
        summary="Names of services and servers, at most 200 of each, for completion.",
        query=bodies.NamesQuery,
        answer=answers.Names,
        refusals=(422,),
    ),
    Endpoint(
        name="override",
        method="POST",
        path="/v1/servers/override",
        summary="Put a standing order on servers, in place of any they have.",
        body=bodies.OverrideBody,
        answer=answers.Ordered,
        refusals=_ORDERS,
    ),
    Endpoint(
        name="take_back",
        method="DELETE",
        path="/v1/servers/override",
        summary="Take the orders on servers back; having none is fine.",
        query=bodies.TakeBack,
        answer=answers.Ordered,
        refusals=(404, 409, 422, 500, 503),
    ),
    Endpoint(
        name="check",
        method="POST",
        path="/v1/check",
        summary="Probe servers now, out of turn; the results count like any other.",
        body=bodies.CheckBody,
        answer=answers.CheckResults,
        refusals=_ORDERS,
    ),
    Endpoint(
        name="reload",
        method="POST",
        path="/v1/reload",
        summary="Read the configuration again; a refused one leaves the old one in force.",
        answer=answers.Done,
        refusals=(422, 500, 503),
    ),
    Endpoint(
        name="announce",
        method="POST",
        path="/v1/announce",
        summary="Announce every VIP that is up on its link once more.",
        answer=answers.Done,
        refusals=(500, 503),
    ),
    Endpoint(
        name="events",
        method="GET",
        path="/v1/events",
        summary="What happened; with `follow`, what happens from now on as well.",
        query=bodies.EventsQuery,
        answer=answers.Events,
        refusals=(422, 503),
        media_types=("application/json", "text/event-stream"),
    ),
    Endpoint(
        name="health",
        method="GET",
        path="/v1/health",
        summary="Whether the gateway does its work: 200 when fine or degraded, 503 when failing.",
        answer=answers.Health,
        also=(503,),
    ),
)
