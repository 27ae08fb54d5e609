"""Answers that are sent in parts: long lists without holding up the event loop, and events as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from time import perf_counter
from typing import cast

from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Send

from ipvs_lb.api.long_list import LongList
from ipvs_lb.engine.control import Control
from ipvs_lb.events import Event
from ipvs_lb.serial import event_to_json

PART = 64 * 1024
"""Bytes that are sent at once."""

TURN = 0.005
"""Seconds of making an answer, after which the event loop does other work."""

KEEPALIVE = 15.0
"""Seconds of silence after which an event stream says that it is still there."""

MAX_STREAMS = 32
"""How many may follow events at once."""

_TELL = b": still here\n\n"


def follow(events: AsyncIterator[bytes]) -> Parts:
    """A response of server-sent *events*."""
    return Parts(events, media_type="text/event-stream", headers={"cache-control": "no-store"})


def pieces(whole: LongList, line: bytes = b"\n") -> Iterator[bytes]:
    """*whole* as JSON, an item at a time; nothing where an item was looked at and left out.

    Every item is a line of its own, so that a reader can begin with the first while the last is made.
    """
    yield to_json(whole.head)[:-1] + b"," + to_json(whole.name) + b":[" + line
    between = b""
    for item in whole.items:
        if item is None:
            yield b""
        elif isinstance(item, LongList):
            yield between
            yield from pieces(item, line=b"")
            between = b"," + line
        else:
            yield between + to_json(item)
            between = b"," + line
    yield line + b"]}"


async def in_parts(made: Iterable[bytes]) -> AsyncIterator[bytes]:
    """What is *made*, in parts of about `PART` bytes; making it never holds the event loop for long."""
    part = bytearray()
    began = perf_counter()
    for piece in made:
        part += piece
        if len(part) >= PART:
            yield bytes(part)
            part.clear()
        if perf_counter() - began > TURN:
            await asyncio.sleep(0)
            began = perf_counter()
    yield bytes(part)


class Parts(StreamingResponse):
    """A response in parts, whose source is closed at once when the client goes."""

    async def stream_response(self, send: Send) -> None:
        """Send them."""
        async with aclosing(cast("AsyncGenerator[bytes, None]", self.body_iterator)):
            await super().stream_response(send)


class Streams:
    """The event streams that are open: how many there may be, and that all of them end with the server."""

    def __init__(self) -> None:
        self._news: set[asyncio.Event] = set()
        self.ended = False

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._news) >= MAX_STREAMS

    def end(self) -> None:
        """Let every stream come to its end."""
        self.ended = True
        for news in self._news:
            news.set()

    @contextmanager
    def open(self, control: Control) -> Iterator[asyncio.Event]:
        """One stream: what is yielded is set when there is news, or when it is to end."""
        news = asyncio.Event()
        self._news.add(news)
        unsubscribe = control.subscribe(lambda _event: news.set())
        try:
            yield news
        finally:
            unsubscribe()
            self._news.discard(news)


async def event_stream(control: Control, after: int, streams: Streams) -> AsyncIterator[bytes]:
    """Kept events numbered above *after*, then further ones as server-sent events, until *streams* end.

    Nothing is queued for a reader who is slow: he is sent what is still kept when he is ready for more, and a comment
    where something is missing.
    """
    with streams.open(control) as news:
        yield _TELL
        while not streams.ended:
            news.clear()
            events = control.events(after)
            if events:
                yield b"".join(_frames(events, after))
                after = events[-1].number
            elif not await _happens(news):
                yield _TELL


async def _happens(news: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(KEEPALIVE):
            return await news.wait()
    except TimeoutError:
        return False


def _frames(events: tuple[Event, ...], after: int) -> Iterator[bytes]:
    missed = events[0].number - after - 1
    if after and missed:
        yield f": {missed} events are not kept any more\n\n".encode()
    for event in events:
        yield b"id: %d\ndata: %b\n\n" % (event.number, to_json(event_to_json(event)))
