"""Answers, and every one other than success made in this one place.

Each slice says in its own form what is wrong: load balancing as Octavia's WSME does, networks as Neutron, identity as
Keystone, and paths that nobody serves as Pecan.
"""

from __future__ import annotations

import enum
import http
import json
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ipvs_lb.api.refusals import RefusalError
from ipvs_lb.errors import LBError
from ipvs_lb.octavia.faults import Fault
from ipvs_lb.serial import JSON

_NOT_FOUND = 404
_BODY_LEFT = frozenset({408, 413})
"""The rest of the body is not waited for."""
_KINDS = {400: "BadRequest", 401: "Unauthorized", 403: "PolicyNotAuthorized", 404: "NotFound"}
"""What Neutron calls a problem that has no name of its own."""


class Slice(enum.Enum):
    """A part of the API, by the first steps of its paths."""

    LOAD_BALANCING = "load-balancing"
    NETWORK = "network"
    IDENTITY = "identity"


def slice_of(path: str) -> Slice:
    """The part that serves *path*."""
    first, _, rest = path.lstrip("/").partition("/")
    if first == "v2.0":
        is_ours = rest.partition("/")[0] in {"", "lbaas", "octavia"}
        return Slice.LOAD_BALANCING if is_ours else Slice.NETWORK
    return Slice.IDENTITY if first in {"identity", "projects", "tenants"} else Slice.LOAD_BALANCING


class Json(Response):
    """JSON in ASCII: whatever text a client sent can be sent back."""

    media_type = "application/json"

    def render(self, content: JSON) -> bytes:
        """As bytes."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def done(content: Mapping[str, JSON], status: int = 200) -> Response:
    """Success, and what came of it."""
    return Json(dict(content), status)


def nothing(status: int) -> Response:
    """Success without a body."""
    return Response(status_code=status)


async def answer(request: Request, error: Exception) -> Response:
    """The answer for a Fault, an LBError or what Starlette found wrong; a bug is answered without its details."""
    if isinstance(error, HTTPException):
        phrase = http.HTTPStatus(error.status_code).phrase
        is_known = request.scope["path"].startswith("/v2.0") or error.status_code != _NOT_FOUND
        said = "" if is_known else None
        return unserved(error.status_code, phrase, error.headers, said=said)
    status, text, headers = _told(error)
    body = _body(slice_of(request.scope["path"]), error, status, text)
    return Json(body, status, headers)


def unserved(
    status: int, title: str, headers: Mapping[str, str] | None = None, *, said: str | None = ""
) -> Response:
    """The answer for what nobody serves."""
    return Json({"code": status, "title": title, "description": said}, status, headers)


def _told(error: Exception) -> tuple[int, str, dict[str, str]]:
    match error:
        case Fault():
            return error.status, str(error), _headers(error)
        case RefusalError():
            leaves = {"connection": "close"} if error.status in _BODY_LEFT else {}
            return error.status, str(error), leaves
        case LBError():
            return 503, str(error), {}
        case _:
            return 500, "A fault of ipvs-lb: its log has the details.", {}


def _headers(fault: Fault) -> dict[str, str]:
    headers = {}
    if fault.status == http.HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Basic realm="ipvs-lb", charset="UTF-8"'
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    return headers


def _body(part: Slice, error: Exception, status: int, text: str) -> JSON:
    match part:
        case Slice.LOAD_BALANCING:
            is_theirs = status < http.HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, Fault)
            code = "Client" if is_theirs else "Server"
            return {"faultcode": code, "faultstring": text, "debuginfo": None}
        case Slice.NETWORK:
            kind = error.kind if isinstance(error, Fault) else ""
            kind = kind or _KINDS.get(status, "HTTPBadRequest")
            return {"NeutronError": {"type": kind, "message": text, "detail": ""}}
        case Slice.IDENTITY:
            title = http.HTTPStatus(status).phrase
            return {"error": {"code": status, "title": title, "message": text}}
