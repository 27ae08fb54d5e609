"""The slice of an identity service that clients use: tokens for names and passwords, and a catalog of this server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from ipvs_lb.model.cloud import OctaviaSettings, identifier_of
from ipvs_lb.octavia.auth import Caller, Door, UnknownCallerError
from ipvs_lb.octavia.faults import Fault
from ipvs_lb.octavia.rest.answers import Json, done, nothing
from ipvs_lb.octavia.rest.ask import origin_of, read_json
from ipvs_lb.octavia.tokens import Token
from ipvs_lb.octavia.users import Role
from ipvs_lb.serial import JSON

_DOMAIN: dict[str, JSON] = {"id": "default", "name": "Default"}
_ROLES = {
    Role.ADMIN: ("admin", "member", "reader"),
    Role.MEMBER: ("member", "reader"),
    Role.OBSERVER: ("reader",),
}
_SERVICES = (
    ("identity", "keystone", "/identity/v3"),
    ("load-balancer", "octavia", ""),
    ("network", "neutron", ""),
)


class IdentitySlice:
    """The endpoints about who asks; everybody can reach them."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def versions(self, request: Request) -> Response:
        """The one version."""
        return Json({"versions": {"values": [_version(request)]}}, 300)

    async def version(self, request: Request) -> Response:
        """Version 3."""
        return done({"version": _version(request)})

    async def issue(self, request: Request) -> Response:
        """A token for a name and a password, or for another token."""
        wanted = _identity(await read_json(request))
        caller = await self._caller(wanted, address_of(request))
        secret, token = self._door.issue(caller)
        body = self._token(caller, token, request, _methods(wanted))
        return Json(body, 201, {"x-subject-token": secret, "vary": "X-Auth-Token"})

    async def show(self, request: Request) -> Response:
        """What a token says."""
        caller, secret = self._subject(request)
        if caller.token is None:
            raise Fault(404, "Could not find token.")
        body = self._token(caller, caller.token, request, ["password"])
        return Json(body, 200, {"x-subject-token": secret, "vary": "X-Auth-Token"})

    async def revoke(self, request: Request) -> Response:
        """A token counts no more."""
        _, secret = self._subject(request)
        self._door.tokens.forget(secret)
        return nothing(204)

    async def refuse(self, _request: Request) -> Response:
        """Who else there is, is nobody's business: clients then take a name for an identifier."""
        raise Fault(403, "You are not authorized to perform the requested action.")

    async def _caller(self, wanted: Mapping[str, object], address: str) -> Caller:
        if "password" in _methods(wanted):
            user = _inside(wanted, "password", "user")
            name, password = user.get("name") or user.get("id"), user.get("password")
            if not isinstance(name, str) or not isinstance(password, str):
                raise Fault(400, "Expecting to find user and password in password.")
            return await self._door.check(name, password, address)
        secret = _inside(wanted, "token").get("id")
        if not isinstance(secret, str):
            raise Fault(400, "Expecting to find id in token.")
        return self._door.bearer(secret)

    def _subject(self, request: Request) -> tuple[Caller, str]:
        """Who a token stands for: whoever asks about it has to come with a token himself."""
        self._door.bearer(request.headers.get("x-auth-token", ""))
        secret = request.headers.get("x-subject-token", "")
        try:
            return self._door.bearer(secret), secret
        except UnknownCallerError:
            raise Fault(404, "Could not find token.") from None

    def _token(
        self, caller: Caller, token: Token, request: Request, methods: list[str]
    ) -> dict[str, JSON]:
        settings = self._door.settings
        own = caller.project_id == settings.project_id
        name = settings.project_name if own else caller.project_id
        roles: list[JSON] = [
            {"id": identifier_of("role", role), "name": role} for role in _ROLES[caller.role]
        ]
        return {
            "token": {
                "methods": [*methods],
                "user": {
                    "id": caller.id,
                    "name": caller.name,
                    "domain": _DOMAIN,
                    "password_expires_at": None,
                },
                "project": {"id": caller.project_id, "name": name, "domain": _DOMAIN},
                "is_domain": False,
                "roles": roles,
                "catalog": _catalog(settings, origin_of(request)),
                "audit_ids": [token.audit_id],
                "issued_at": _time(token.issued),
                "expires_at": _time(token.expires),
            }
        }


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client is not None else ""


def _identity(body: object) -> Mapping[str, object]:
    identity = _inside({"": body}, "", "auth", "identity")
    known = {"password", "token"}
    if not known & set(_methods(identity)):
        raise Fault(400, "Expecting the method password or token.")
    return identity


def _methods(identity: Mapping[str, object]) -> list[str]:
    methods = identity.get("methods")
    return [one for one in methods if isinstance(one, str)] if isinstance(methods, list) else []


def _inside(body: Mapping[str, object], *steps: str) -> Mapping[str, object]:
    for step in steps:
        inner = body.get(step)
        if not isinstance(inner, dict):
            raise Fault(400, f"Expecting to find {step or 'auth'} in the body.")
        body = inner
    return body


def _version(request: Request) -> dict[str, JSON]:
    link = {"rel": "self", "href": f"{origin_of(request)}/identity/v3/"}
    kind = {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{**link}],
        "media-types": [{**kind}],
    }


def _catalog(settings: OctaviaSettings, origin: str) -> list[JSON]:
    return [
        {
            "type": kind,
            "name": name,
            "id": identifier_of("service", kind),
            "endpoints": [
                {
                    "interface": interface,
                    "region": settings.region,
                    "region_id": settings.region,
                    "url": f"{origin}{path}",
                    "id": identifier_of("endpoint", kind, interface),
                }
                for interface in ("public", "internal", "admin")
            ],
        }
        for kind, name, path in _SERVICES
    ]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
