"""What is written of changes: one transaction for each that is answered, and none of its own for how it ended.

Rules kept here:
1. Transactions are written one after the other, in the order in which they were asked for. What comes while one is
   being written shares the next.
2. How a change ended is owed: it is written together with the next change, or after `PATIENCE`. Whoever reads what is
   on the disk before that finds the change pending, and has it put in force again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from ipvs_lb.errors import StoreError

PATIENCE = 1.0
"""Seconds for which what is owed may wait, and between two trials to write it."""
Texts = dict[str, str | None]
_Entry = tuple[Texts, asyncio.Future[None]]


class Ledger:
    """Writes named texts by *write*, which is durable when it returns and raises StoreError."""

    def __init__(self, write: Callable[[Mapping[str, str | None]], Awaitable[None]]) -> None:
        self._write = write
        self._turn = asyncio.Lock()
        self._owed: Texts = {}
        self._waiting: list[_Entry] = []
        self._payment: asyncio.Task[None] | None = None

    async def keep(self, texts: Mapping[str, str | None]) -> None:
        """Write *texts*; durable when this returns. Raises StoreError, and then they are not written."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((dict(texts), done))
        async with self._turn:
            if not done.done():
                await self._write_all()
        await done

    def owe(self, texts: Mapping[str, str | None]) -> None:
        """Have *texts* written soon."""
        self._owed |= texts
        if self._owed and self._payment is None:
            self._payment = asyncio.get_running_loop().create_task(
                self._pay(), name="octavia ledger"
            )

    async def settle(self) -> None:
        """Return when nothing is owed."""
        while True:
            async with self._turn:
                if self._owed:
                    await self._write_all()
                if not self._owed:
                    return
            await asyncio.sleep(PATIENCE)

    async def _pay(self) -> None:
        try:
            await asyncio.sleep(PATIENCE)
            await self.settle()
        finally:
            self._payment = None

    async def _write_all(self) -> None:
        """One transaction of all that waits, and what is owed before it."""
        owed, waiting = self._owed, self._waiting
        self._owed, self._waiting = {}, []
        whole = dict(owed)
        for texts, _ in waiting:
            whole |= texts
        try:
            await self._write(whole)
        except StoreError as error:
            self._owed = owed | self._owed
            _end(waiting, error)
        except BaseException:
            self._owed, self._waiting = owed | self._owed, [*waiting, *self._waiting]
            raise
        else:
            _end(waiting, None)


def _end(waiting: list[_Entry], error: StoreError | None) -> None:
    for _, done in waiting:
        if done.cancelled():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
