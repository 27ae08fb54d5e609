"""The status page on the API's listeners."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ipvs_lb.api.refusals import RefusalError
from ipvs_lb.api.requests import read_query
from ipvs_lb.api.streams import MAX_STREAMS, Streams, follow
from ipvs_lb.api.traffic import note_route
from ipvs_lb.engine.control import Control
from ipvs_lb.web import files
from ipvs_lb.web.board import NOWHERE, Board, Point
from ipvs_lb.web.live import Wish, live

LIVE = "/ui/live"
MAX_SIGHT = 200
"""Services that can be in sight at once."""
MAX_SERVERS = 400
"""Servers of one of them."""

_POINT = re.compile(r"([0-9a-f]{12})\.([0-9]{1,15})", re.ASCII)
_SIGHT = re.compile(r"(.+?)(?:@([0-9]{1,7})-([0-9]{1,7}))?", re.ASCII | re.DOTALL)

_Sight = Annotated[str, StringConstraints(min_length=1, max_length=120)]


class LiveQuery(BaseModel):
    """Where a page goes on, and what it shows: `tcp/10.0.0.16:80`, or `tcp/10.0.0.16:80@0-20` with servers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str = Field(default="", max_length=40)
    event: int = Field(default=0, ge=0, le=2**63 - 1)
    sight: list[_Sight] = Field(default=[], max_length=MAX_SIGHT)


class StatusPage:
    """The page of one gateway: implements `ipvs_lb.api.server.Page`."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._board = Board(control)
        self._files = files.embedded()

    @property
    def free(self) -> Set[str]:
        """The paths that need no token: all but those that tell of the gateway."""
        return files.paths(self._files)

    def routes(self, streams: Streams, *, asks: bool) -> Sequence[Route]:
        """Its routes on a listener with these *streams*; whether it *asks* for a token."""

        async def answer(request: Request) -> Response:
            return self._live(request, streams)

        return [*files.routes(self._files, asks=asks), Route(LIVE, answer)]

    def _live(self, request: Request, streams: Streams) -> Response:
        note_route(request.scope, LIVE)
        query = read_query(request, LiveQuery)
        if streams.is_full:
            raise RefusalError(503, f"{MAX_STREAMS} others look on already")
        wish = Wish(
            role=request.scope["state"]["role"],
            after=_point(query.after),
            event=query.event,
            sight=[*map(_in_sight, query.sight)],
        )
        return follow(live(self._control, self._board, streams, wish))


def _point(text: str) -> Point:
    found = _POINT.fullmatch(text)
    return (found[1], int(found[2])) if found else NOWHERE


def _in_sight(text: str) -> tuple[str, int, int]:
    found = _SIGHT.fullmatch(text)
    assert found is not None  # noqa: S101  # it matches whatever is there
    first, last = int(found[2] or 0), int(found[3] or 0)
    return found[1], first, min(last, first + MAX_SERVERS)
