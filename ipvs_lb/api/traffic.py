"""How many requests were answered, by what was asked and how it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def note_route(scope: MutableMapping[str, Any], path: str) -> None:
    """Say by which of a fixed number of paths a request is answered; what is not said is counted as another."""
    scope["state"]["route"] = path


class Traffic:
    """`requests` by face, method, route and status code; clients do not decide how many kinds there are."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str, str]] = Counter()

    def over(self, app: ASGIApp, face: str) -> ASGIApp:
        """*app*, counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._count(scope, face, message["status"])
                await send(message)

            await app(scope, receive, noted)

        return counted

    def _count(self, scope: Scope, face: str, status: int) -> None:
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        route = scope["state"].get("route", OTHER)
        self.requests[face, method, route, str(status)] += 1
