"""Calls that would keep the event loop, in threads beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """`await aside(call, argument, ...)` is the result of the call, or raises what it raises."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def __call__(self, call: Callable[..., T], *arguments: object) -> T:
        """Run *call* in a thread, and wait for it without keeping the loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(call, *arguments))
