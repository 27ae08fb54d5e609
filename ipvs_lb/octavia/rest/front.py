"""What every request passes: its name, the one spelling of its path, the form of the answer."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ipvs_lb.octavia.rest.answers import unserved

REQUEST_ID = b"x-openstack-request-id"
_NETWORK = frozenset({"networks", "subnets", "ports", "floatingips", "extensions"})
_ACCEPTED = ("*/*", "application/*", "application/json")
_UNACCEPTABLE = unserved(
    406, "Not Acceptable", said="Only content type application/json is accepted."
)


class Front:
    """An application behind it. `scope["asked"]` is the path as the client wrote it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = f"req-{uuid4()}"

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID, name.encode())]
            await send(message)

        path = settled(scope["path"])
        inside = {
            **scope,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "asked": scope["path"],
            "request_id": name,
        }
        app = self._app if _accepts(scope["headers"]) else _UNACCEPTABLE
        await app(inside, receive, labelled)


def settled(path: str) -> str:
    """The one spelling of *path*: `/v2/pools/` and `/v2.0/lbaas/pools.json` are `/v2.0/lbaas/pools`."""
    steps = path.rstrip("/").removesuffix(".json").split("/")
    if steps[1:2] not in (["v2"], ["v2.0"]):
        return "/".join(steps) or "/"
    rest = steps[2:]
    if rest and rest[0] not in {*_NETWORK, "lbaas", "octavia"}:
        rest = ["lbaas", *rest]
    return "/".join(["", "v2.0", *rest])


def _accepts(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the client takes JSON; one that does not say so takes anything."""
    asked = [value.decode("latin-1") for name, value in headers if name == b"accept"]
    kinds = [kind.partition(";")[0].strip().lower() for line in asked for kind in line.split(",")]
    named = [kind for kind in kinds if kind]
    return not named or any(kind in _ACCEPTED for kind in named)
