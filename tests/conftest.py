"""Asynchronous tests run on virtual time, unless they are marked `real_time`."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and whether coverage is measured.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


class _Jump(selectors.DefaultSelector):
    """Instead of waiting for a timeout, moves the loop's clock to it."""

    loop: VirtualTimeLoop

    def select(self, timeout=None):
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.loop.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs exactly as fast as it has nothing to do."""

    def __init__(self):
        self.now = 0.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("real_time"):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualTimeLoop}
