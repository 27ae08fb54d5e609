"""The connections of draining servers, looked at as long as there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ipvs_lb.engine.court import Court
from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.errors import KernelError
from ipvs_lb.model.identity import ServiceKey

_POLL = 1.0  # seconds between two looks


class Drains:
    """Has services decided anew by *touch* when that may end a drain; *lost* is told that the kernel did not answer."""

    def __init__(
        self,
        court: Court,
        mirror: Mirror,
        *,
        touch: Callable[[Iterable[ServiceKey]], None],
        lost: Callable[[KernelError], None],
    ) -> None:
        self._court = court
        self._mirror = mirror
        self._touch = touch
        self._lost = lost

    async def watch(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await asyncio.sleep(_POLL)
            present, waiting = self._mirror.services, self._court.draining()
            if present is None or not waiting:
                continue
            present = {key: present[key] for key in waiting if key in present}
            try:
                counted = await self._mirror.statistics(present.keys())
            except KernelError as error:
                self._lost(error)
                continue
            self._touch(self._court.count(counted, present))
