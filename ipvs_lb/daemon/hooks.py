"""The hooks of the running daemon, kept in step with the configuration in force."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager

from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.events import Event
from ipvs_lb.hooks import Dispatcher
from ipvs_lb.model.identity import ServiceKey

GRACE = 0.5
"""Seconds that calls have to end when the daemon does."""


@asynccontextmanager
async def hooked(balancer: Balancer, dropped: MutableMapping[str, int]) -> AsyncIterator[None]:
    """Start *balancer*, and tell the hooks of its configuration what happens from the start to the last event.

    Events that were too many for a hook are counted in *dropped*.

    Raises ConfigError, as starting it does.
    """
    dispatcher = Dispatcher(gateway=socket.gethostname(), tell=balancer.warn, dropped=dropped)

    def configure() -> None:
        layouts = balancer.roster.layouts

        def name_of(key: ServiceKey) -> str | None:
            return layouts[key].declared.name if key in layouts else None

        dispatcher.configure(balancer.roster.config.hooks, name_of)

    def told(event: Event) -> None:
        if event.name == "config.loaded":
            configure()
        dispatcher.told(event)

    unsubscribe = balancer.subscribe(told)
    await balancer.start()
    configure()
    try:
        yield
    finally:
        await dispatcher.close(GRACE)
        unsubscribe()
