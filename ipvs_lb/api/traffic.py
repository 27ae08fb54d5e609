"""How many requests were answered, by what was asked and how it went, and how many connections were given up."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER = "other"


class Reason(enum.StrEnum):
    """Why a connection ended without an answer of the application."""

    FULL = "full"  # there were as many as there may be
    HANDSHAKE = "handshake"  # no TLS, no certificate, or not in time
    NO_HTTP = "no_http"  # what came is no request
    LONG_HEAD = "long_head"  # its line and headers are longer than they may be
    SLOW = "slow"  # the head of a request was not there in time
    UNREAD = "unread"  # an answer was not taken in time


Refuse = Callable[[Reason], None]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def note_route(scope: MutableMapping[str, Any], path: str) -> None:
    """Say by which of a fixed number of paths a request is answered; what is not said is counted as another."""
    scope["state"]["route"] = path


class Traffic:
    """`requests` by face, method, route and status code, `refused` connections by face and reason.

    Clients do not decide how many kinds there are.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str, str]] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()

    def over(self, app: ASGIApp, face: str) -> ASGIApp:
        """*app*, counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._count(scope, face, message["status"])
                await send(message)

            await app(scope, receive, noted)

        return counted

    def refuse(self, face: str, reason: Reason) -> None:
        """Count a connection that was given up."""
        self.refused[face, reason.value] += 1

    def _count(self, scope: Scope, face: str, status: int) -> None:
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        route = scope["state"].get("route", OTHER)
        self.requests[face, method, route, str(status)] += 1
