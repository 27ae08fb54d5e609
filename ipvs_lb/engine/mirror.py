"""The kernel as the daemon knows it: what was read last, kept in step with what was written since."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from ipvs_lb.commands import Command
from ipvs_lb.errors import KernelError
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Statistics, Table, VirtualService
from ipvs_lb.plan import stages
from ipvs_lb.ports import Kernel

T = TypeVar("T")


class Mirror:
    """All calls to the kernel go through here, off the event loop; a read does not keep a write waiting.

    `services` is our part of the table, None while it is not known. After any KernelError it is not: a
    part of the work may have been done, so it has to be read again.
    """

    def __init__(self, kernel: Kernel, reader: Kernel, threads: Executor) -> None:
        self._kernel = kernel
        self._reader = reader
        self._threads = threads
        self._reading = asyncio.Lock()
        self._writing = asyncio.Lock()
        self.services: dict[ServiceKey, VirtualService] | None = None
        self.error: str | None = None

    async def read(self) -> Table:
        """The whole table. Raises KernelError."""
        return await self._ask(self._reader.read, self._reading)

    async def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """The counters of the services *keys*, None: of all. Raises KernelError."""
        return await self._ask(partial(self._reader.statistics, keys), self._reading)

    async def write(
        self, commands: Sequence[Command], after: Mapping[ServiceKey, VirtualService]
    ) -> None:
        """Carry out *commands*, additions first; the services concerned are then as *after* says.

        Raises KernelError.
        """
        if commands:
            for part in stages(commands):
                if part:
                    await self._ask(partial(self._kernel.execute, part), self._writing)
        if self.services is not None:
            self.services.update(after)

    async def _ask(self, call: Callable[[], T], turn: asyncio.Lock) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with turn:
                result = await loop.run_in_executor(self._threads, call)
        except KernelError as error:
            self.services, self.error = None, str(error)
            raise
        self.error = None
        return result
