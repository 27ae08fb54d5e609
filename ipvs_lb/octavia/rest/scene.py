"""What the endpoints work on, and what they have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass

from starlette.responses import Response

from ipvs_lb.model.identity import IPAddress, ServiceKey
from ipvs_lb.model.table import Statistics
from ipvs_lb.octavia.auth import Door
from ipvs_lb.octavia.catalogue import Catalogue
from ipvs_lb.octavia.desk import Desk
from ipvs_lb.octavia.faults import forbidden
from ipvs_lb.octavia.listing import Page, Row, listed
from ipvs_lb.octavia.objects import AnyObject
from ipvs_lb.octavia.render import Shown, shown
from ipvs_lb.octavia.rest.answers import done
from ipvs_lb.octavia.rest.ask import Ask
from ipvs_lb.octavia.sight import Sight
from ipvs_lb.serial import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The desk, what the gateway shows, and who may come in. `occupied`: addresses that others answer on."""

    desk: Desk
    sight: Sight
    door: Door
    statistics: Callable[[Set[ServiceKey]], Awaitable[Statistics]]
    occupied: Callable[[], set[IPAddress]]

    @property
    def catalogue(self) -> Catalogue:
        """All objects."""
        return self.desk.catalogue

    def show(self, thing: AnyObject) -> Shown:
        """*thing* as a client sees it now."""
        return shown(thing, self.catalogue, self.sight.status())


def project_filter(ask: Ask) -> str | None:
    """The project that a list is restricted to. Raises the fault "forbidden" when it is not the caller's."""
    wanted = ask.request.query_params.get("project_id") or ask.request.query_params.get("tenant_id")
    if wanted is not None:
        if not ask.caller.sees(wanted):
            raise forbidden()
        return wanted
    return None if ask.caller.sees("") else ask.caller.project_id


def list_rows(
    ask: Ask, key: str, rows: Iterable[Row], *, fields: Collection[str], filters: Mapping[str, str]
) -> Response:
    """The answer that holds those of *rows* that the query asks for."""
    page = listed(rows, ask.query, url=ask.url, fields=fields, filters=filters)
    return page_of(key, page)


def page_of(key: str, page: Page) -> Response:
    """The answer that holds *page*."""
    rows: list[JSON] = [dict(row) for row in page.rows]
    links: list[JSON] = [{**link} for link in page.links]
    return done({key: rows, f"{key}_links": links})


def with_fields(ask: Ask, row: Shown) -> Shown:
    """*row* with those fields only that the query names, if it names any."""
    wanted = set(ask.request.query_params.getlist("fields"))
    return {name: value for name, value in row.items() if name in wanted} if wanted else row
