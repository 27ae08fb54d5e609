"""Events as JSON values."""

from __future__ import annotations

from ipvs_lb.events import Event
from ipvs_lb.serial.reading import JSON


def event_to_json(event: Event) -> dict[str, JSON]:
    """One event."""
    return {
        "number": event.number,
        "at": event.at,
        "name": event.name,
        "level": event.level.value,
        "facts": {**event.facts},
    }
