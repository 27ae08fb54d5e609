"""What others do to links and addresses: looked at soon and seldom, and VIPs announced again where a link came up.

Rules kept here:
1. A change is reacted to at once; a storm of changes is one reaction a second.
2. VIPs are announced several times: the first can get lost, and a switch may take seconds to forward over a new link.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Set

ANNOUNCED_AFTER = (0.0, 1.0, 5.0)
"""Seconds after a link came up, or a VIP was put on it, until the VIPs there are announced."""
_PAUSE = 1.0


class Surroundings:
    """Has *look* called after changes, and *announce* with the interfaces whose VIPs are to be announced."""

    def __init__(
        self,
        changes: Callable[[], AsyncIterator[frozenset[str]]],
        look: Callable[[], None],
        announce: Callable[[Set[str]], Awaitable[None]],
    ) -> None:
        self._changes = changes
        self._look = look
        self._announce = announce
        self._changed = False
        self._woken = asyncio.Event()
        self._due: dict[str, tuple[float, ...]] = {}

    def announced(self, interfaces: Iterable[str]) -> None:
        """VIPs there have just been announced for the first time: the repetitions follow."""
        self._plan(interfaces, ANNOUNCED_AFTER[1:])

    async def listen(self) -> None:
        """Note what the host tells, for as long as it does. Raises HostError."""
        async for came_up in self._changes():
            self._changed = True
            self._plan(came_up, ANNOUNCED_AFTER)
            self._woken.set()

    async def react(self) -> None:
        """Do what is to be done about it, until cancelled."""
        while True:
            await self._sleep()
            self._woken.clear()
            if self._changed:
                self._changed = False
                self._look()
            due = self._take_due()
            if due:
                await self._announce(due)
            await asyncio.sleep(_PAUSE)

    def _plan(self, interfaces: Iterable[str], after: Iterable[float]) -> None:
        now = asyncio.get_running_loop().time()
        times = tuple(now + pause for pause in after)
        self._due |= dict.fromkeys(interfaces, times)
        self._woken.set()

    def _take_due(self) -> frozenset[str]:
        now = asyncio.get_running_loop().time()
        due = frozenset(name for name, times in self._due.items() if times[0] <= now)
        left = {name: tuple(at for at in times if at > now) for name, times in self._due.items()}
        self._due = {name: times for name, times in left.items() if times}
        return due

    async def _sleep(self) -> None:
        first = min((times[0] for times in self._due.values()), default=None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(first):
                await self._woken.wait()
