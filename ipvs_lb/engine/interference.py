"""What others changed of ours in the kernel's table: told, and whether that stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipvs_lb.commands import Command
from ipvs_lb.engine.news import Story
from ipvs_lb.events import Fact, Level
from ipvs_lb.model.config import Drift

_SHOWN = 5  # commands named in an event


class Interference:
    """`count`: how often something was found."""

    def __init__(self, tell: Callable[[Story], None]) -> None:
        self.count = 0
        self._tell = tell
        self._reported: tuple[Command, ...] = ()

    def is_left_alone(
        self, commands: Sequence[Command], treatment: Drift, *, after: float | None, now: float
    ) -> bool:
        """Whether what *commands* would repair stays; it came *after* the last comparison. What stays is told once."""
        left_alone = treatment is Drift.REPORT
        if not left_alone or commands != self._reported:
            self.count += 1
            facts: dict[str, Fact] = {
                "commands": len(commands),
                "first": "; ".join(map(str, commands[:_SHOWN])),
                "after": after,
                "before": now,
            }
            name = "drift.reported" if left_alone else "drift.repaired"
            self._tell(Story(name, Level.WARNING, facts))
        self._reported = tuple(commands)
        return left_alone
