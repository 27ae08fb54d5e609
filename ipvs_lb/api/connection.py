"""One connection: uvicorn's, which knows who is at its other end and does not wait for ever for him."""

from __future__ import annotations

import asyncio
import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ipvs_lb.api import guard
from ipvs_lb.api.peers import peer_of
from ipvs_lb.api.refusals import RefusalError, bare_answer
from ipvs_lb.api.traffic import Reason, Refuse

MAX_HEADER = 64 * 1024
"""Bytes of a request's line and headers: names of some thousand servers fit in a query."""
HEADER_TIME = 5.0
"""Seconds until the head of a request, or a TLS handshake, has to be there as a whole."""
IDLE_TIME = 5
"""Seconds between two requests of one connection."""

_TOO_MUCH = 431
_NO_HTTP = bare_answer(RefusalError(400, "this is no HTTP request"))
_LONG_HEAD = bare_answer(
    RefusalError(_TOO_MUCH, f"the request's line and headers are longer than {MAX_HEADER} bytes")
)


class Connection(H11Protocol):
    """Bounds on what a client may send, and on the time it takes to; `refuse` is told when it is over them."""

    refuse: Refuse
    _deadline: asyncio.TimerHandle | None = None
    _head_begun = False
    _is_leaving = False
    _is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is, and wait for a request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # asyncio's word for a stream
        super().connection_made(transport)
        self.app_state = {"peer": peer_of(transport), "abort": self._end_unread}
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """A part of a request: once its head is there, the body has its own time."""
        if self._is_refused:
            return
        super().data_received(data)
        if self._is_leaving:
            self.shutdown()
        if not self._is_waiting:
            self._expect_nothing()
        elif not self._head_begun:
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP or too much of it, and let the client read that before the connection goes."""
        if not self._is_waiting:
            super().send_400_response(msg)
            return
        problem = sys.exception()
        too_much = (
            isinstance(problem, h11.RemoteProtocolError) and problem.error_status_hint == _TOO_MUCH
        )
        self.transport.write(_LONG_HEAD if too_much else _NO_HTTP)
        self.refuse(Reason.LONG_HEAD if too_much else Reason.NO_HTTP)
        self._is_refused = True
        self._within(HEADER_TIME)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """What is left of the answer has its time to be taken, and so has the next request to come."""
        self._within(IDLE_TIME + guard.SEND_TIME)
        super().on_response_complete()

    def shutdown(self) -> None:
        """Close when there is nothing to answer; a connection that has just been made may ask once."""
        self._is_leaving = True
        if self._is_refused:
            self.transport.abort()
        elif self.cycle is not None:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to expect."""
        self._expect_nothing()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    def _expect_head(self) -> None:
        self._head_begun = True
        self._within(HEADER_TIME)

    def _expect_nothing(self) -> None:
        self._head_begun = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _within(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._end_late)

    def _end_late(self) -> None:
        if self._head_begun and not self._is_refused:
            self.refuse(Reason.SLOW)
        self.transport.abort()

    def _end_unread(self) -> None:
        self.refuse(Reason.UNREAD)
        self.transport.abort()
