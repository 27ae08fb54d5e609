"""Asynchronous tests run on virtual time, unless they are marked `real_time`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings

from ipvs_lb.engine import balancer
from ipvs_lb.event_kinds import KINDS
from ipvs_lb.events import Event, Fact, Level, Ring
from ipvs_lb.simulation.clock import VirtualTimeLoop

# How long an example takes says how busy the machine is, and whether coverage is measured.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


_KINDS = {kind.name: kind for kind in KINDS}


@pytest.fixture(autouse=True)
def events_are_of_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the engine tells in a test is as docs/reference/events.md says."""

    class Catalogued(Ring):
        def add(self, name: str, at: float, level: Level = Level.INFO, /, **facts: Fact) -> Event:
            event = super().add(name, at, level, **facts)
            kind = _KINDS.get(name)
            against = kind.against(event) if kind else f"{name} is in no catalogue"
            assert not against, against
            return event

    monkeypatch.setattr(balancer, "Ring", Catalogued)


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("real_time"):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualTimeLoop}
