"""What every request passes: the token where one is asked for, and a bound on the time a client takes to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ipvs_lb.api.peers import knows
from ipvs_lb.api.refusals import RefusalError, problem_to_json

SEND_TIME = 20.0
"""Seconds within which a client has to take what is sent at once."""
TELL_PAUSE = 60.0
"""Seconds between two words about clients that were turned away."""

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
    """An application behind a token (None: everybody may) and a bound on time."""

    def __init__(self, app: ASGIApp, token: str | None, turned: Turned) -> None:
        self._app = app
        self._token = token
        self._turned = turned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def hurried(message: Message) -> None:
            try:
                async with asyncio.timeout(SEND_TIME):
                    await send(message)
            except TimeoutError:
                scope["state"]["abort"]()

        app = self._app if self._admits(scope) else _STRANGER
        try:
            await app(scope, receive, hurried)
        except asyncio.CancelledError:
            return  # the server stops, and this task ends here

    def _admits(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        headers = dict(scope["headers"])
        known = knows(self._token, headers.get(b"authorization", b"").decode("latin-1"))
        if not known:
            self._turned.away(scope["state"]["peer"].address)
        return known


_STRANGER = JSONResponse(
    {
        "error": problem_to_json(
            RefusalError(401, "no token, or not the right one", hint="Authorization: Bearer TOKEN")
        )
    },
    401,
    headers={"www-authenticate": "Bearer"},
)
