"""Flap damping: how long a server that keeps changing is held down."""

from __future__ import annotations

from collections.abc import Sequence

from ipvs_lb.health import HISTORY
from ipvs_lb.model.config import FlapDamping


def held_until(changes: Sequence[float], damping: FlapDamping) -> float | None:
    """When the last hold that *changes* (times, in order) brought about ends; None: there was none.

    A hold begins at a change that is not in a hold and makes the number of changes within the window full. It lasts
    twice as long as the one before if that one ended less than a window ago, and never longer than `max_hold`.
    """
    needed = min(damping.changes, HISTORY)
    until: float | None = None
    level = 0
    for number in range(needed - 1, len(changes)):
        change = changes[number]
        if until is not None and change < until:
            continue
        if changes[number - needed + 1] > change - damping.window:
            again = until is not None and change < until + damping.window
            level = level + 1 if again else 0
            until = change + min(damping.hold * 2**level, damping.max_hold)
    return until
