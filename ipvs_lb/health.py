"""What a probe's results so far say of its target.

Rules kept here:
1. The first result decides alone.
2. After that `rise` successes in a row bring the target up and `fall` failures in a row take it down; a result that
   agrees with the present status starts the count again.
3. A target that was serving when it was first seen is believed up (`adopted`) until its own results say otherwise.
4. What a server's agent says of its being up or down decides at once: it is no observation that could be wrong.
5. A failure that is this machine's own or the configuration's changes nothing.
6. A weight, a percentage and a mode that were reported stay until others are reported.

Times are Unix seconds, so that a record means the same after a restart; they come in as `now`, from a clock that never
goes back while the process lives.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from ipvs_lb.model.checks import HealthCheck
from ipvs_lb.model.results import AgentMode, Result
from ipvs_lb.model.settings import MAX_WEIGHT

HISTORY = 100
"""The number of status changes that are remembered, and so the most that flap damping can ask for."""


class Status(enum.StrEnum):
    """What is believed of a target; UNKNOWN until its first result."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a target said of itself: an absolute weight, a percentage of its own weight, a mode (since `mode_since`)."""

    weight: int | None = None
    percent: int | None = None
    mode: AgentMode = AgentMode.READY
    mode_since: float = 0.0
    reason: str = ""

    def after(self, result: Result, now: float) -> Reported:
        """What is known once *result* is in."""
        weight = self.weight if result.weight is None else clamped(result.weight)
        agent = result.agent
        if agent is None:
            return self if weight == self.weight else replace(self, weight=weight)
        mode = self.mode if agent.mode is None else agent.mode
        return Reported(
            weight=weight,
            percent=self.percent if agent.percent is None else agent.percent,
            mode=mode,
            mode_since=self.mode_since if mode is self.mode else now,
            reason=agent.reason,
        )


NOTHING_REPORTED = Reported()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is believed of a probe's target, and what speaks against it.

    `streak` results in a row contradict `status`, which began at `since`. `changes` are the times of the last `HISTORY`
    changes between up and down. `adopted`: up because it was serving, not yet because of a result.
    """

    status: Status = Status.UNKNOWN
    streak: int = 0
    since: float = 0.0
    adopted: bool = False
    changes: tuple[float, ...] = ()
    reported: Reported = NOTHING_REPORTED

    def after(self, result: Result, check: HealthCheck, now: float) -> Health:
        """The health once *result* is in: *self* itself when nothing has changed."""
        if result.error is not None and not result.error.blames_server:
            return self
        judged = self._judged(result, check, now)
        reported = self.reported.after(result, now)
        return judged if reported == self.reported else replace(judged, reported=reported)

    def _judged(self, result: Result, check: HealthCheck, now: float) -> Health:
        status = Status.UP if result.passed else Status.DOWN
        if self.status is Status.UNKNOWN:
            return replace(self, status=status, streak=0, since=now)
        if status is self.status:
            settled = not self.streak and not self.adopted
            return self if settled else replace(self, streak=0, adopted=False)
        if self.streak + 1 < _needed(result, check):
            return replace(self, streak=self.streak + 1)
        return replace(
            self,
            status=status,
            streak=0,
            since=now,
            adopted=False,
            changes=(*self.changes, now)[-HISTORY:],
        )

    def pause(self, check: HealthCheck) -> float:
        """Seconds from the start of the last probe to that of the next: shorter while the status may be changing."""
        if self.streak or self.status is Status.UNKNOWN:
            return min(check.fast_interval, check.interval)
        return check.interval

    def adopt(self, now: float) -> Health:
        """Up because it is serving, with what was remembered of it."""
        if self.status is Status.UP:
            return self
        return replace(self, status=Status.UP, streak=0, since=now, adopted=True)


NEW = Health()
"""The health of a target nothing is known of."""


def _needed(result: Result, check: HealthCheck) -> int:
    if result.agent is not None and result.agent.up is not None:
        return 1
    return check.rise if result.passed else check.fall


def clamped(weight: int) -> int:
    """*weight* as the kernel takes it, 0 to 65535."""
    return max(0, min(weight, MAX_WEIGHT))
