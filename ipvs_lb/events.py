"""What happened on a gateway, as values: the same event feeds the log, the metrics and the event list.

Names are `noun.past_tense`; facts are plain values under fixed keys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ipvs_lb.model.event import Level

__all__ = ["KEPT", "Event", "Fact", "Level", "Ring"]

Fact = str | int | float | bool | None

KEPT = 1000
"""How many events are kept for those who ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: numbered without gaps, `at` Unix seconds."""

    number: int
    at: float
    name: str
    level: Level = Level.INFO
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Ring:
    """The last `KEPT` events, numbered in the order they happened."""

    def __init__(self, *, kept: int = KEPT, last: int = 0) -> None:
        self._events: deque[Event] = deque(maxlen=kept)
        self.last = last

    def add(self, name: str, at: float, level: Level = Level.INFO, /, **facts: Fact) -> Event:
        """Append the event that comes next."""
        self.last += 1
        event = Event(number=self.last, at=at, name=name, level=level, facts=facts)
        self._events.append(event)
        return event

    def restore(self, event: Event) -> None:
        """Put back one event of an earlier run, in order, before any is added."""
        self._events.append(event)
        self.last = event.number

    def after(self, number: int) -> tuple[Event, ...]:
        """The kept events with a number above *number*, oldest first."""
        return tuple(event for event in self._events if event.number > number)
