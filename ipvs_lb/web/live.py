"""What the page is sent for as long as it is open: server-sent events, a turn at least every second.

head: the gateway itself, every turn. services: services with all their servers, each as it is now: at first all of
them, then those that changed. gone: services that are not there any more. reached: up to where this stream has told
everything, with which a page that was cut off, or looks elsewhere, goes on. details: what changes by itself of the
services and servers in sight, where it did. events: what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic_core import to_json

from ipvs_lb.api.scene import Scene
from ipvs_lb.api.streams import Streams, in_parts
from ipvs_lb.engine.control import Control
from ipvs_lb.model.api import Role
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.serial import event_to_json
from ipvs_lb.web import rows
from ipvs_lb.web.board import NOWHERE, Board, Look, Point
from ipvs_lb.web.rows import Sight

TURN = 1.0
"""Seconds between two turns when nothing happens."""
HASTE = 0.25
"""Seconds between two turns at least."""
MAX_EVENTS = 200
"""Events of the past that a page is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a page wants: all that is new `after` a point and after an event, and details of what is in `sight`."""

    role: Role
    after: Point = NOWHERE
    event: int = 0
    sight: Sequence[tuple[str, int, int]] = ()


async def live(
    control: Control, board: Board, streams: Streams, wish: Wish
) -> AsyncIterator[bytes]:
    """The stream of one page, until *streams* end."""
    told = _Told(control, board, wish)
    loop = asyncio.get_running_loop()
    with streams.open(control) as news, board.onlooker():
        while not streams.ended:
            news.clear()
            began = loop.time()
            async for part in told.turn():
                yield part
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN):
                    await news.wait()
            if not streams.ended:
                await asyncio.sleep(max(0.0, began + HASTE - loop.time()))


class _Told:
    """How far one page is."""

    def __init__(self, control: Control, board: Board, wish: Wish) -> None:
        self._control = control
        self._board = board
        self._wish = wish
        self._after = wish.after
        self._event = wish.event
        self._details: dict[str, bytes] = {}
        self._counted = float("-inf")

    async def turn(self) -> AsyncIterator[bytes]:
        """Everything that is new."""
        look = await self._board.look()
        yield _event("head", look.head[:-1] + _MAY[self._wish.role])
        async for part in self._services(look):
            yield part
        async for part in self._sight(look.scene):
            yield part
        yield self._events(look.scene.snapshot.last_event)

    async def _services(self, look: Look) -> AsyncIterator[bytes]:
        if self._after == look.point:
            return
        news = await self._board.news(self._after)
        if news.anew:
            yield _event("anew", b"{}")
        services = look.scene.snapshot.decision.services
        there = [key for key in news.changed if key in services or key in look.scene.foreign]
        async for part in in_parts(rows.services_events(look.scene, there)):
            yield part
        if news.gone:
            yield _event("gone", to_json([*map(str, news.gone)]))
        self._after = look.point
        name, number = look.point
        yield _event("reached", to_json(f"{name}.{number}"))

    async def _sight(self, scene: Scene) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time()
        if now - self._counted < TURN * 0.9:
            return
        self._counted = now
        seen = list(self._seen())
        counters = await self._board.counters({sight.key for sight in seen})
        with_counters = replace(scene, statistics=counters or None)
        async for part in in_parts(self._changed(with_counters, seen)):
            yield part

    def _seen(self) -> Iterator[Sight]:
        for text, first, last in self._wish.sight:
            key: ServiceKey | None = self._board.named(text)
            if key is not None:
                yield Sight(key, first, last)

    def _changed(self, scene: Scene, seen: Sequence[Sight]) -> Iterator[bytes]:
        between = b'event: details\ndata: {"at":' + to_json(scene.snapshot.at) + b',"rows":{'
        for name, detail in rows.details(scene, seen):
            content = to_json(detail)
            if self._details.get(name) == content:
                yield b""
                continue
            self._details[name] = content
            yield between + to_json(name) + b":" + content
            between = b","
        if between == b",":
            yield b"}}\n\n"

    def _events(self, last: int) -> bytes:
        after = self._event if self._event <= last else 0
        events = self._control.events(after)[-MAX_EVENTS:]
        if not events:
            return b""
        self._event = events[-1].number
        return _event("events", to_json([event_to_json(event) for event in events]))


_MAY = {Role.OPERATOR: b',"may_order":true}', Role.VIEWER: b',"may_order":false}'}


def _event(name: str, content: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), content)
