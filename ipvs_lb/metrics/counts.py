"""What has happened since the daemon started, added up from its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from ipvs_lb.engine.tally import Tally
from ipvs_lb.events import Event, Fact, Level

SIZES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
"""Bounds between which the sizes of plans are told apart."""
UP, DOWN = "up", "down"
_DIRECTION = {"server.up": UP, "server.down": DOWN}


class Counts:
    """Sums of what it was `told`. Events that stand for several count as many; `hook_drops` others add to."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, Level]] = Counter()
        self.transitions: Counter[tuple[str, str]] = Counter()
        self.hook_failures: Counter[str] = Counter()
        self.hook_drops: Counter[str] = Counter()
        self.plans = Tally(SIZES)
        self.loaded: float | None = None

    def told(self, event: Event) -> None:
        """Count *event*."""
        self.events[event.name, event.level] += 1
        facts = event.facts
        if event.name in _DIRECTION:
            self.transitions[str(facts.get("service")), _DIRECTION[event.name]] += 1
        elif event.name == "plan.applied":
            self.plans.add(_number(facts.get("commands")))
        elif event.name == "hook.failed":
            self.hook_failures[str(facts.get("hook"))] += int(_number(facts.get("calls")))
        elif event.name in {"daemon.started", "config.loaded"}:
            self.loaded = event.at

    def times(self, name: str) -> int:
        """How many events of that name there were."""
        return sum(number for (told, _), number in self.events.items() if told == name)

    def keep(self, services: Set[str], hooks: Set[str]) -> None:
        """Forget what belongs to services or hooks that are gone: their number has no bound over the years."""
        for gone in [each for each in self.transitions if each[0] not in services]:
            del self.transitions[gone]
        for counted in (self.hook_failures, self.hook_drops):
            for hook in counted.keys() - hooks:
                del counted[hook]


def _number(fact: Fact) -> float:
    return fact if isinstance(fact, int | float) else 1
