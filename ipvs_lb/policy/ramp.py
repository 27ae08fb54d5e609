"""Slow start: which weight a server has while it comes back."""

from __future__ import annotations

from bisect import bisect_right

from ipvs_lb.model.config import SlowStart


def ramped(
    weight: int, start: float, slow_start: SlowStart, now: float
) -> tuple[int, float | None]:
    """The weight at *now* of a server on its way to *weight*, and when it changes next (None: never).

    It has 1 at *start*, then as many of `steps` equal shares as of `steps` equal times have passed, and *weight*
    itself after `duration`. Weights are whole, so *weight* 1 leaves nothing to do.
    """

    def reached(step: int) -> float:
        return start + step * slow_start.duration / slow_start.steps

    steps = slow_start.steps
    done = bisect_right(range(1, steps + 1), now, key=reached)
    present = max(1, weight * done // steps)
    if present >= weight:
        return weight, None
    more = -(-(present + 1) * steps // weight)  # the first step whose share is bigger, rounded up
    return present, reached(more)
