"""What is decided goes into the kernel at once, through the services it is about.

Rules kept here:
1. Nothing is written while it is not known what is in the kernel: then everything has to be compared first.
2. A service that is not there yet, or is withheld, is not written here: its surroundings come first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ipvs_lb.commands import Command
from ipvs_lb.engine.court import Court
from ipvs_lb.engine.guard import Guard
from ipvs_lb.engine.hostwork import HostWork
from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.engine.news import Story
from ipvs_lb.errors import KernelError
from ipvs_lb.events import Level
from ipvs_lb.model.desired import Desired
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.plan import opened, plan

_SLICE = 25  # services decided between two turns of the event loop
_SHOWN = 5  # commands named in an event


class Writer:
    """Decides by *court* what is `touch`ed or due, and writes it through *mirror* while all is `settled`.

    *need_whole* has everything compared, *lost* is told what the kernel refused; both end it being settled.
    """

    def __init__(
        self,
        court: Court,
        mirror: Mirror,
        guard: Guard,
        hostwork: HostWork,
        tell: Callable[[Story], None],
        *,
        need_whole: Callable[[], None],
        lost: Callable[[KernelError], None],
    ) -> None:
        self.settled = False
        self._court = court
        self._mirror = mirror
        self._guard = guard
        self._hostwork = hostwork
        self._tell = tell
        self._need_whole = need_whole
        self._lost = lost
        self._dirty: set[ServiceKey] = set()
        self._written: set[ServiceKey] = set()

    def touch(self, keys: Iterable[ServiceKey]) -> None:
        """Decide on *keys* at the next `decide`."""
        self._dirty.update(keys)

    async def decide(self, now: float) -> None:
        """Decide on what was touched, and on what is due *now*; while all is settled that is in force then."""
        keys = list(self._dirty | self._court.due(now))
        self._dirty.clear()
        turned = self._court.turned
        for start in range(0, len(keys), _SLICE):
            part = keys[start : start + _SLICE]
            for story in self._court.decide(part, now):
                self._tell(story)
            if self.settled:
                await self._write(part)
            await asyncio.sleep(0)
        if self._court.turned != turned:
            self._need_whole()

    async def _write(self, keys: Iterable[ServiceKey]) -> None:
        """Bring *keys* in force, as the difference from what is known to be in the kernel."""
        known = self._mirror.services
        decided = self._court.services
        keys = [key for key in keys if key not in self._guard.withheld]
        if known is None or any(key not in known for key in keys):
            self._need_whole()
            return
        after = {key: decided[key].virtual for key in keys if key in decided}
        before = {key: known[key] for key in after}
        commands = plan(Table(before), Table(after))
        if commands:
            self._written.update(after)
            await self._try_to_write(commands, after)

    async def _try_to_write(
        self, commands: Sequence[Command], after: Mapping[ServiceKey, VirtualService]
    ) -> None:
        try:
            await self.put(commands, after)
        except KernelError as error:
            self._lost(error)

    async def put(
        self, commands: Sequence[Command], after: Mapping[ServiceKey, VirtualService]
    ) -> None:
        """Carry out *commands*; the services concerned are then as *after* says. Raises KernelError."""
        await self._mirror.write(commands, after)
        shown = "; ".join(map(str, commands[:_SHOWN]))
        self._tell(Story("plan.applied", Level.INFO, {"commands": len(commands), "first": shown}))
        await self._hostwork.forget_clients(opened(commands, after))

    # what is written while everything is read

    def begin(self) -> None:
        """Everything is being read from now on."""
        self._written.clear()

    @property
    def is_lost(self) -> bool:
        """A write has failed since `begin`: nobody knows how far it came."""
        return bool(self._written) and self._mirror.services is None

    def with_written(self, actual: Table, desired: Desired) -> tuple[Table, Desired]:
        """Both with what was written while they were made: of that they may know nothing, or a part."""
        decided, known = self._court.services, self._mirror.services or {}
        keys = [key for key in self._written if key in decided and key in known]
        if not keys:
            return actual, desired
        present = {**actual.services, **{key: known[key] for key in keys}}
        wanted = {**desired.table.services, **{key: decided[key].virtual for key in keys}}
        table = replace(desired.table, services=wanted)
        return replace(actual, services=present), replace(desired, table=table)
