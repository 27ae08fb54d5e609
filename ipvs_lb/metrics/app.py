"""`GET /metrics`: on the API's ways, and alone on a port of its own."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from functools import cached_property

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ipvs_lb.api.refusals import answer
from ipvs_lb.api.streams import Parts, in_parts
from ipvs_lb.api.traffic import Traffic, note_route
from ipvs_lb.engine.control import Control
from ipvs_lb.errors import KernelError, LBError
from ipvs_lb.metrics.counts import Counts
from ipvs_lb.metrics.kernel import KernelTable, parse
from ipvs_lb.metrics.page import page
from ipvs_lb.metrics.reading import Reading
from ipvs_lb.metrics.text import CONTENT_TYPE
from ipvs_lb.model.table import Statistics

PATH = "/metrics"
MAX_READERS = 4
"""Pages that are made at once; further readers wait in line."""
_QUICKLY, _GZIP = 1, 31  # zlib's level and window bits: a gzip header around it
ReadText = Callable[[], tuple[str, str] | None]
"""The kernel's table and totals as text; None where there is no IPVS. It blocks."""


class Metrics:
    """What there is to read of *control*; *counts* are told its events, *traffic* counts its API's requests."""

    def __init__(
        self, control: Control, *, counts: Counts, traffic: Traffic, read_text: ReadText
    ) -> None:
        self._control = control
        self._counts = counts
        self._traffic = traffic
        self._read_text = read_text

    @cached_property
    def route(self) -> Route:
        """The path by which it is read."""
        return Route(PATH, self.answer)

    def app(self) -> Starlette:
        """An application that has nothing else."""
        handlers = {LBError: answer, HTTPException: answer, Exception: answer}
        return Starlette(routes=[self.route], exception_handlers=handlers)

    async def answer(self, request: Request) -> Response:
        """The page as it is now, in parts, compressed for those who take that."""
        note_route(request.scope, PATH)
        headers = {"cache-control": "no-store", "vary": "accept-encoding"}
        parts = self._parts()
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            parts = _zipped(parts)
        return Parts(parts, headers=headers, media_type=CONTENT_TYPE)

    async def _parts(self) -> AsyncIterator[bytes]:
        async with self._turns:
            reading = await self._reading()
            async for part in in_parts(page(reading)):
                yield part

    @cached_property
    def _turns(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(MAX_READERS)

    async def _reading(self) -> Reading:
        statistics, table = await self._statistics(), await asyncio.to_thread(self._table)
        snapshot = self._control.snapshot()
        return Reading(
            snapshot=snapshot,
            statistics=statistics,
            table=table,
            counts=self._counts,
            requests=dict(self._traffic.requests),
            refused=dict(self._traffic.refused),
            settings=snapshot.config.metrics,
        )

    async def _statistics(self) -> Statistics | None:
        try:
            return await self._control.statistics()
        except KernelError:
            return None  # which is what `ipvs_lb_kernel_up` says

    def _table(self) -> KernelTable | None:
        text = self._read_text()
        return None if text is None else parse(*text)


async def _zipped(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(_QUICKLY, wbits=_GZIP)
    async for part in parts:
        packed = packer.compress(part)
        if packed:
            yield packed
    yield packer.flush()
