"""One call of a hook, as its receiver gets it, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ipvs_lb.events import Event
from ipvs_lb.serial import JSON, event_to_json

SCHEMA = "ipvs_lb/hook/1"

LATE = "no answer in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one hook is told at once: `events` of one service, or of none, oldest first.

    `delivery` is the same in every attempt. `dropped` older events there was no room for.
    """

    hook: str
    gateway: str
    delivery: str
    service: str | None
    service_name: str | None
    events: tuple[Event, ...]
    dropped: int = 0

    def body(self) -> bytes:
        """The JSON document that is posted, or that a program reads."""
        events: list[JSON] = [event_to_json(event) for event in self.events]
        document: JSON = {
            "schema": SCHEMA,
            "hook": self.hook,
            "gateway": self.gateway,
            "delivery": self.delivery,
            "service": self.service,
            "service_name": self.service_name,
            "events": events,
            "dropped": self.dropped,
        }
        return json.dumps(document).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one attempt; an empty `reason` is success.

    `again`: another attempt may do better, but not within `wait` seconds. Nothing secret stands in `reason`.
    """

    reason: str = ""
    again: bool = False
    wait: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return not self.reason
