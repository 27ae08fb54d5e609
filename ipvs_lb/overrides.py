"""What an operator says of one server at run time, above what its checks say.

Times are Unix seconds: an override outlives the process.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K")


class Action(enum.StrEnum):
    """What an override does: serve whatever the checks say, stay out, empty gently, or have another weight."""

    UP = "up"
    DOWN = "down"
    DRAIN = "drain"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One standing order of an operator.

    `weight` (0 to 65535) is set exactly when the action is WEIGHT. `expires` None: until it is taken back; at
    `expires` itself it is no longer in force. `since` also tells one drain from the next.
    """

    action: Action
    since: float
    weight: int | None = None
    expires: float | None = None
    reason: str = ""
    who: str = ""

    def is_in_force(self, now: float) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


def without_expired(overrides: Mapping[K, Override], now: float) -> dict[K, Override]:
    """The overrides that are still in force."""
    return {key: override for key, override in overrides.items() if override.is_in_force(now)}
