"""A request that has passed the door: who asks, for what, with which words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from ipvs_lb.api.requests import read_bytes
from ipvs_lb.octavia.auth import Caller
from ipvs_lb.octavia.faults import Fault, forbidden, invalid
from ipvs_lb.octavia.objects import AnyObject
from ipvs_lb.octavia.users import Role

MAX_BODY = 1024 * 1024
"""Bytes: some thousands of members fit into one batch."""
MAX_DEPTH = 12
"""Levels of a body; the deepest that means something, a monitor of a pool of a listener, has six."""
_HOST = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}", re.ASCII)
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `caller` is who asks."""

    request: Request
    caller: Caller

    @property
    def query(self) -> Sequence[tuple[str, str]]:
        """The words of the query in their order."""
        return self.request.query_params.multi_items()

    def step(self, name: str) -> str:
        """A part of the path."""
        value: str = self.request.path_params[name]
        return value

    def is_set(self, name: str) -> bool:
        """Whether the query says yes to *name*."""
        return (self.request.query_params.get(name) or "").strip().lower() in _TRUE

    async def body(self, key: str, argument: str) -> Mapping[str, object]:
        """What stands under *key*; Octavia calls the whole *argument*. Raises Fault."""
        whole = await read_json(self.request)
        if whole is None:
            raise Fault(400, f'Missing argument: "{argument}"')
        if not isinstance(whole, dict):
            raise Fault(400, "Request is not in valid JSON format")
        _refuse_unknown(whole, key, argument)
        inside = whole.get(key)
        if inside is None:
            raise invalid(key, None, "Mandatory field missing.")
        if not isinstance(inside, dict):
            raise invalid(key, inside, "Value should be an object")
        return inside

    async def items(self, key: str, argument: str) -> list[Mapping[str, object]]:
        """The objects in the list under *key*. Raises Fault."""
        whole = await read_json(self.request)
        if whole is None:
            raise Fault(400, f'Missing argument: "{argument}"')
        inside = None
        if isinstance(whole, dict):
            _refuse_unknown(whole, key, argument)
            inside = whole.get(key)
        if not isinstance(inside, list) or not all(isinstance(one, dict) for one in inside):
            raise invalid(key, inside, "Value should be a list of objects")
        return inside

    def project(self, body: Mapping[str, object]) -> str:
        """The project in which *body* wants something made. Raises the fault "forbidden"."""
        wanted = body.get("project_id") or body.get("tenant_id") or self.caller.project_id
        if not isinstance(wanted, str) or not self.caller.changes(wanted):
            raise forbidden()
        return wanted

    def must_see(self, project: str) -> None:
        """Raise the fault "forbidden" unless the caller may look at *project*."""
        if not self.caller.sees(project):
            raise forbidden()

    def must_change(self, thing: AnyObject) -> None:
        """Raise the fault "forbidden" unless the caller may change *thing*."""
        if not self.caller.changes(thing.project_id):
            raise forbidden()

    def must_be_admin(self) -> None:
        """Raise the fault "forbidden" unless the caller may do everything."""
        if self.caller.role is not Role.ADMIN:
            raise forbidden()

    @property
    def origin(self) -> str:
        """`http://HOST:PORT`, as the client calls this server."""
        return origin_of(self.request)

    @property
    def url(self) -> str:
        """The address asked for, without its query."""
        return f"{self.origin}{self.request.scope['asked']}"


def origin_of(request: Request) -> str:
    """`http://HOST:PORT`, as the client calls this server; a name that cannot be one is not repeated."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        server = request.scope.get("server") or ("localhost", None)
        host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
    return f"{request.url.scheme}://{host}"


async def read_json(request: Request) -> object:
    """The body, None when there is none. Raises Fault and RefusalError."""
    content = await read_bytes(request, MAX_BODY)
    if not content.strip():
        return None
    try:
        value: object = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Fault(400, "Request is not in valid JSON format") from None
    if _is_deeper(value, MAX_DEPTH):
        raise Fault(400, "Request is not in valid JSON format: too many levels")
    return value


def _refuse_unknown(whole: Mapping[str, object], key: str, argument: str) -> None:
    for unknown in whole.keys() - {key}:
        raise Fault(400, f"Unknown attribute for argument {argument}: {unknown}")


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_deeper(value: object, levels: int) -> bool:
    """Whether *value* has more levels; looks no further down than that."""
    level: list[object] = [value]
    for _ in range(levels):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
