"""What every request passes: the tokens where any is asked for, and a bound on the time a client takes to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Set

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ipvs_lb.api.peers import knows
from ipvs_lb.api.refusals import RefusalError, problem_to_json
from ipvs_lb.model.api import Role

SEND_TIME = 20.0
"""Seconds within which a client has to take what is sent at once."""
TELL_PAUSE = 60.0
"""Seconds between two words about clients that were turned away."""

_LOOKING = frozenset({"GET", "HEAD"})
"""The methods that change nothing."""

Told = Callable[[str, int], None]
"""Told of the address of a client that was turned away, and of how many there were since the last time."""


class Turned:
    """Tells of clients that were turned away: of the first at once, then not more often than every `TELL_PAUSE`."""

    def __init__(self, tell: Told) -> None:
        self._tell = tell
        self._times = 0
        self._quiet_until = float("-inf")

    def away(self, address: str) -> None:
        """Count one more, and tell if it is time to."""
        self._times += 1
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + TELL_PAUSE
            self._tell(address, self._times)
            self._times = 0


class Guard:
    """An application behind tokens (none: everybody may do everything) and a bound on time.

    What is at the paths *free* may be looked at without a token. The application finds what the client may do as `role` in the state of its scope.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Mapping[str, Role],
        turned: Turned,
        free: Set[str] = frozenset(),
    ) -> None:
        self._app = app
        self._free = free
        self._tokens = tokens
        self._turned = turned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def hurried(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_TIME):
                    await send(message)
            except TimeoutError:
                scope["state"]["abort"]()

        try:
            await self._admitted(scope)(scope, receive, hurried)
        except asyncio.CancelledError:
            return  # the server stops, and this task ends here

    def _admitted(self, scope: Scope) -> ASGIApp:
        """The application, or the refusal of who is not known or may not do that."""
        looks = scope["method"] in _LOOKING
        if looks and scope["path"] in self._free:
            return self._app
        role = self._role(scope)
        if role is None:
            self._turned.away(scope["state"]["peer"].address)
            return _STRANGER
        if role is Role.VIEWER and not looks:
            return _ONLOOKER
        scope["state"]["role"] = role
        return self._app

    def _role(self, scope: Scope) -> Role | None:
        if not self._tokens:
            return Role.OPERATOR
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        known = [role for token, role in self._tokens.items() if knows(token, authorization)]
        return known[0] if known else None


def _refusal(error: RefusalError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": problem_to_json(error)}, error.status, headers=headers)


_STRANGER = _refusal(
    RefusalError(401, "no token, or not the right one", hint="Authorization: Bearer TOKEN"),
    {"www-authenticate": "Bearer"},
)
_ONLOOKER = _refusal(
    RefusalError(
        403,
        "this token may look and not order anything",
        hint="take the listener's `token` instead of its `read_only_token`",
    )
)
