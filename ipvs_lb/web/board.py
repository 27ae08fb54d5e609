"""What all who look on have in common: the gateway, looked at once for all of them, and which services changed when."""

from __future__ import annotations

import asyncio
import secrets
from asyncio import to_thread
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic_core import to_json

from ipvs_lb.api.scene import Scene
from ipvs_lb.engine.control import Control, Snapshot
from ipvs_lb.errors import KernelError
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import ServiceStatistics
from ipvs_lb.web import rows

FRESH = 0.2
"""Seconds for which a look at the gateway is good enough for others."""
COUNTED = 0.9
"""Seconds for which counters are."""
MEMORY = 60.0
"""Seconds after the last one has gone for which it is remembered what changed when: he may come back."""
MAX_GONE = 10_000
"""Services that went, of which is known when: beyond that everybody is told all."""

NOWHERE = ("", 0)
Point = tuple[str, int]
"""How far somebody is: in which memory, and up to which of its changes."""


@dataclass(slots=True)
class _Entry:
    marks: tuple[object, ...]
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The gateway at one moment, `head` as the page shows it, and how far the board is."""

    scene: Scene
    head: bytes
    point: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What somebody has not been told yet; `anew`: what he has been told before counts no more."""

    anew: bool
    changed: tuple[ServiceKey, ...]
    gone: tuple[ServiceKey, ...] = ()


@dataclass(slots=True)
class _Memory:
    """Which service changed when; a `name` of its own tells it from that of another time."""

    name: str = field(default_factory=lambda: secrets.token_hex(6))
    number: int = 0
    entries: dict[ServiceKey, _Entry] = field(default_factory=dict)
    gone: dict[ServiceKey, int] = field(default_factory=dict)
    names: dict[str, ServiceKey] = field(default_factory=dict)

    def note(self, scene: Scene) -> None:
        """Compare *scene* with what is known."""
        number = self.number + 1
        seen = _all_marks(scene)
        for key, marks in seen.items():
            entry = self.entries.get(key)
            if entry is None:
                self.names[str(key)] = key
                self.gone.pop(key, None)
                self.entries[key] = _Entry(marks, number)
                self.number = number
            elif not _same(entry.marks, marks):
                entry.marks, entry.changed = marks, number
                self.number = number
        for key in self.entries.keys() - seen.keys():
            del self.entries[key], self.names[str(key)]
            self.gone[key] = number
            self.number = number

    def news(self, after: Point) -> News:
        """What happened after *after*."""
        name, number = after
        if name != self.name or number > self.number:
            return News(anew=True, changed=tuple(self.entries))
        changed = (key for key, entry in self.entries.items() if entry.changed > number)
        gone = (key for key, when in self.gone.items() if when > number)
        return News(anew=False, changed=tuple(changed), gone=tuple(gone))


def _all_marks(scene: Scene) -> dict[ServiceKey, tuple[object, ...]]:
    decided = scene.snapshot.decision.services.values()
    found = {decision.key: rows.marks(scene, decision) for decision in decided}
    return {**found, **{key: (virtual,) for key, virtual in scene.foreign.items()}}


def _same(before: tuple[object, ...], after: tuple[object, ...]) -> bool:
    """Mostly they are the same objects, which is found out quickly; what was decided or read anew can be equal."""
    return len(before) == len(after) and all(map(_alike, before, after))


def _alike(one: object, other: object) -> bool:
    return one is other or one == other


class Board:
    """One for a gateway, whatever the number of listeners."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._memory = _Memory()
        self._look: Look | None = None
        self._looked = float("-inf")
        self._looking = asyncio.Lock()
        self._counting = asyncio.Lock()
        self._counters: dict[ServiceKey, tuple[float, ServiceStatistics]] = {}
        self._trouble: str | None = None
        self._onlookers = 0
        self._forgetting: asyncio.TimerHandle | None = None

    @contextmanager
    def onlooker(self) -> Iterator[None]:
        """Somebody looks on; when the last one has gone for a while, everything is forgotten."""
        self._onlookers += 1
        if self._forgetting is not None:
            self._forgetting.cancel()
        try:
            yield
        finally:
            self._onlookers -= 1
            if not self._onlookers:
                self._forgetting = asyncio.get_running_loop().call_later(MEMORY, self._forget)

    def _forget(self) -> None:
        self._memory, self._look, self._counters = _Memory(), None, {}

    async def look(self) -> Look:
        """The gateway as it is, or was a moment ago."""
        loop = asyncio.get_running_loop()
        async with self._looking:
            if self._look is None or loop.time() - self._looked > FRESH:
                snapshot = self._control.snapshot()
                self._look = await to_thread(self._seen, snapshot, self._trouble)
                self._looked = loop.time()
            return self._look

    def _seen(self, snapshot: Snapshot, trouble: str | None) -> Look:
        memory = self._memory
        if len(memory.gone) > MAX_GONE:
            memory = self._memory = _Memory()
        scene = Scene(snapshot=snapshot, trouble=trouble)
        memory.note(scene)
        head = to_json(rows.head_to_json(scene))
        return Look(scene=scene, head=head, point=(memory.name, memory.number))

    async def news(self, after: Point) -> News:
        """What happened after *after*."""
        async with self._looking:
            return await to_thread(self._memory.news, after)

    def named(self, text: str) -> ServiceKey | None:
        """The service that goes by *text*."""
        return self._memory.names.get(text)

    async def counters(self, keys: Set[ServiceKey]) -> Mapping[ServiceKey, ServiceStatistics]:
        """The kernel's counters of the services *keys*, as they are or were a moment ago; empty when it cannot be asked."""
        if not keys:
            return {}
        loop = asyncio.get_running_loop()
        async with self._counting:
            now = loop.time()
            old = {key for key in keys if now - self._counters.get(key, _NEVER)[0] > COUNTED}
            try:
                fresh = await self._control.statistics(old) if old else {}
            except KernelError as error:
                self._trouble = str(error)
                return {}
            self._trouble = None
            young = {k: one for k, one in self._counters.items() if now - one[0] <= COUNTED}
            self._counters = young | {key: (now, one) for key, one in fresh.items()}
        return {key: self._counters[key][1] for key in keys if key in self._counters}


_NEVER = (float("-inf"), ServiceStatistics())
