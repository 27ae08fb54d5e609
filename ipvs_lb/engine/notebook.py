"""What the daemon writes down to know it after a restart, gathered and written a few times a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

from ipvs_lb.engine import records
from ipvs_lb.engine.roster import Roster
from ipvs_lb.errors import StoreError
from ipvs_lb.events import KEPT, Event
from ipvs_lb.health import Health
from ipvs_lb.model.probe import Probe
from ipvs_lb.overrides import Override
from ipvs_lb.policy import Member, Removed
from ipvs_lb.ports import Records

T = TypeVar("T")

_PAUSE = 0.5  # seconds between two writes


@dataclass(slots=True)
class Remembered:
    """What an earlier run wrote down that still concerns the configuration; names that could not be read."""

    health: dict[Probe, Health] = field(default_factory=dict)
    overrides: dict[Member, Override] = field(default_factory=dict)
    removed: dict[Member, Removed] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    damaged: list[str] = field(default_factory=list)


class Notebook:
    """Changes wait here for `flush`; a store that fails is tried again with the next ones."""

    def __init__(self, kept: Records, threads: Executor) -> None:
        self._records = kept
        self._threads = threads
        self._waiting: dict[str, str | None] = {}
        self._writing = asyncio.Lock()
        self.error: str | None = None

    def put(self, name: str, text: str | None) -> None:
        """Write *text* under *name*, or with None forget it, with the next flush."""
        self._waiting[name] = text

    def put_event(self, event: Event) -> None:
        """Keep *event*, and no more than `KEPT` of them."""
        self.put(records.event_name(event), records.event_text(event))
        self.put(records.event_name_of(event.number - KEPT), None)

    async def flush(self) -> None:
        """Everything put so far is on the disk when this returns, unless `error` says why not."""
        async with self._writing:
            changes, self._waiting = self._waiting, {}
            if not changes:
                return
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._threads, self._records.record, changes)
            except StoreError as problem:
                self.error = str(problem)
                self._waiting = {**changes, **self._waiting}
                return
            self.error = None

    async def run(self) -> None:
        """Flush a few times a second until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE)
            await self.flush()

    async def read(self, roster: Roster) -> Remembered:
        """What was written down, as far as it concerns *roster*; the rest is forgotten."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._records.records)
        remembered, stale = await loop.run_in_executor(self._threads, _sort_out, found, roster)
        for name in (*stale, *remembered.damaged):
            self.put(name, None)
        # before anything else: killed a moment later, the next start may find another configuration
        await self.flush()
        return remembered


def _sort_out(found: Mapping[str, str], roster: Roster) -> tuple[Remembered, list[str]]:
    kept = Remembered()
    stale: list[str] = []
    probes = {records.health_name(probe): probe for probe in roster.users}
    for name, health in _of(found, records.HEALTH, records.health_from, kept.damaged):
        if name in probes:
            kept.health[probes[name]] = health
        else:
            stale.append(name)
    for name, override in _of(found, records.OVERRIDE, records.override_from, kept.damaged):
        member = records.member_from(name)
        if member in roster.seats:
            kept.overrides[member] = override
        else:
            stale.append(name)
    for name, removed in _of(found, records.REMOVED, records.removed_from, kept.damaged):
        member = records.member_from(name)
        if member.key in roster.layouts and member not in roster.seats:
            kept.removed[member] = removed
        else:
            stale.append(name)
    events = _of(found, records.EVENT, records.event_from, kept.damaged)
    kept.events = tuple(event for _, event in events)
    return kept, stale


def _of(
    found: Mapping[str, str], kind: str, read: Callable[[str], T], damaged: list[str]
) -> Iterator[tuple[str, T]]:
    own = {name: text for name, text in found.items() if name.startswith(kind)}
    return records.readable(own, read, damaged)
