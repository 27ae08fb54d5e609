"""What belongs to layer 7 or to virtual machines: lists of it are empty, and none can be made."""

from __future__ import annotations

from starlette.responses import Response

from ipvs_lb.octavia.faults import not_found, unsupported
from ipvs_lb.octavia.rest.answers import done
from ipvs_lb.octavia.rest.ask import Ask

ABSENT = {
    "flavors": "flavors",
    "flavorprofiles": "flavor profiles",
    "availabilityzones": "availability zones",
    "availabilityzoneprofiles": "availability zone profiles",
    "l7policies": "L7 policies, which need layer 7",
    "amphorae": "amphorae",
}
"""The last step of a path, and what it is about."""
_LISTS = {
    "availabilityzones": "availability_zones",
    "availabilityzoneprofiles": "availability_zone_profiles",
}
_KEYS = {
    "flavors": "Flavor",
    "flavorprofiles": "Flavor Profile",
    "availabilityzones": "Availability Zone",
    "availabilityzoneprofiles": "Availability Zone Profile",
    "l7policies": "L7 Policy",
    "amphorae": "Amphora",
}


async def none(ask: Ask) -> Response:
    """An empty list."""
    key = _LISTS.get(_what(ask), _what(ask))
    links = key.removesuffix("s") if key.endswith("profiles") else key
    return done({key: [], f"{links}_links": []})


async def missing(ask: Ask) -> Response:
    """There is no such thing."""
    raise not_found(_KEYS[_what(ask)], ask.step("id")[:64])


async def refused(ask: Ask) -> Response:
    """None can be made."""
    raise unsupported(f"there are no {ABSENT[_what(ask)]}")


def _what(ask: Ask) -> str:
    path: str = ask.request.scope["path"]
    return path.split("/")[3]
