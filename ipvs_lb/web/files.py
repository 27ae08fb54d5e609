"""The page's files as answers: embedded, unchanging while the daemon lives, and with a policy that lets in nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ipvs_lb.api.traffic import note_route

INDEX = "index.html"
PATHS = ("/", "/ui")
"""Where the page itself is."""
FOLDER = "/ui/"
"""Where the files it is made of are."""

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
))  # fmt: skip
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_ASKS = b'data-asks="no"'
_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class File:
    """One file: its content, its kind, and a mark that changes with its content."""

    content: bytes
    kind: str
    mark: str

    async def answer(self, request: Request) -> Response:
        """The file, or the word that the client has it already."""
        note_route(request.scope, "/ui")
        headers = {**_HEADERS, "etag": self.mark}
        if request.headers.get("if-none-match") == self.mark:
            return Response(status_code=_NOT_MODIFIED, headers=headers)
        return Response(self.content, headers=headers, media_type=self.kind)


def file(content: bytes, name: str) -> File:
    """The file of that *name*."""
    mark = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return File(content, _KINDS[PurePosixPath(name).suffix], mark)


def embedded() -> dict[str, bytes]:
    """Every file of the page by its name."""
    folder = files("ipvs_lb.web") / "static"
    found = ((one.name, one) for one in folder.iterdir())
    return {name: one.read_bytes() for name, one in found if PurePosixPath(name).suffix in _KINDS}


def routes(contents: Mapping[str, bytes], *, asks: bool) -> Iterator[Route]:
    """The routes of the page and its files; the page knows whether the listener *asks* for a token."""
    index = contents[INDEX].replace(_ASKS, b'data-asks="yes"') if asks else contents[INDEX]
    page = file(index, INDEX)
    for path in PATHS:
        yield Route(path, page.answer)
    for name, content in contents.items():
        if name != INDEX:
            yield Route(FOLDER + name, file(content, name).answer)


def paths(contents: Mapping[str, bytes]) -> frozenset[str]:
    """The paths of these routes."""
    return frozenset((*PATHS, *(FOLDER + name for name in contents if name != INDEX)))
