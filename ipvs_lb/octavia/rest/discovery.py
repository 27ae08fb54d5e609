"""What is served here, in which version."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ipvs_lb.octavia.rest.answers import done
from ipvs_lb.octavia.rest.ask import origin_of
from ipvs_lb.serial import JSON

_UPDATED = (
    *("2016-12-11", "2018-04-20", "2018-07-31", "2018-12-18", "2018-12-19", "2019-01-21"),
    *("2019-01-25", "2018-01-25", "2019-02-12", "2019-03-04", "2019-03-05", "2019-06-24"),
    *("2019-09-11", "2019-09-13", "2019-11-10", "2020-03-10", "2020-03-15", "2020-04-29"),
    *("2020-04-29", "2020-05-12", "2020-08-02", "2020-09-03", "2020-09-04", "2020-09-07"),
    *("2020-10-15", "2021-10-02", "2022-08-29"),
)
"""When each v2.n was made known. 2.27 is about HSTS, which is layer 7, and 2.28 about security groups."""
_HOURS = {7: "12", 18: "01"}
NEWEST = len(_UPDATED) - 1
"""The n of v2.n: several VIPs of one load balancer."""


async def versions(request: Request) -> Response:
    """All versions; the newest is CURRENT."""
    origin = origin_of(request)
    listed: list[JSON] = [
        {
            "id": f"v2.{number}",
            "status": "CURRENT" if number == NEWEST else "SUPPORTED",
            "updated": f"{day}T{_HOURS.get(number, '00')}:00:00Z",
            "links": [{"href": f"{origin}/v2", "rel": "self"}],
        }
        for number, day in enumerate(_UPDATED)
    ]
    return done({"versions": listed})


async def version(_request: Request) -> Response:
    """The one word of a real one."""
    return PlainTextResponse("v2")
