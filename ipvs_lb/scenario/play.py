"""Plays a scenario on a stage, and tells what happens as it happens.

Rules kept here:
1. Steps come in the order in which they are written. One that takes long makes the next ones late; none is left out.
2. Expectations are watched while later steps are done. One that does not hold fails the scenario, which goes on.
3. `slack` is added to the time in which a server has to be at its place.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from ipvs_lb.lab.backends import Condition
from ipvs_lb.lab.traffic import Request
from ipvs_lb.model.config import Config
from ipvs_lb.model.table import Table
from ipvs_lb.plan import plan
from ipvs_lb.scenario.steps import (
    Action,
    Become,
    Delay,
    Expect,
    Lose,
    Plug,
    Scenario,
    Step,
    Watch,
    Who,
)
from ipvs_lb.scenario.verdicts import Names, against_demand, against_place, summary

_TICK = 0.1


class Servers(Protocol):
    """The servers of a stage, as steps change them. What is not said of a way stays as it is."""

    def become(self, who: Who, condition: Condition) -> None:
        """The applications of *who* are in *condition* from now on."""

    def plug(self, who: Who, *, is_in: bool) -> None:
        """Its cable is in, or is not."""

    def impair(self, who: Who, *, loss: float | None = None, delay: float | None = None) -> None:
        """A share (0 to 1) of the packets to it is lost, and they take so many seconds longer."""


def change(servers: Servers, action: Become | Plug | Lose | Delay) -> None:
    """Do to *servers* what *action* says. Raises LBError when it cannot be done."""
    match action:
        case Become(who, condition):
            servers.become(who, condition)
        case Plug(who, is_in):
            servers.plug(who, is_in=is_in)
        case Lose(who, share):
            servers.impair(who, loss=share)
        case Delay(who, seconds):
            servers.impair(who, delay=seconds)
        case _:
            assert_never(action)


class Stage(Protocol):
    """Where a scenario is played. Time is seconds since its beginning."""

    @property
    def names(self) -> Names:
        """What the servers call themselves."""

    def now(self) -> float:
        """The time."""

    def wait(self, until: float) -> None:
        """Let time pass."""

    def do(self, action: Action) -> None:
        """Have something happen. Raises LBError when it cannot."""

    def look(self) -> tuple[Config, Table]:
        """The configuration that is in force, and the kernel's table."""

    def requests(self, service: str) -> Sequence[Request]:
        """Every request of a service's clients so far; `sent` is a time of the stage."""


class Kind(enum.StrEnum):
    """What is told."""

    DONE = "done"
    EVENT = "event"
    TABLE = "table"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened: a step was done, the kernel's table changed, an expectation held or failed.

    Events are what the daemon tells; a simulation has them.
    """

    at: float
    kind: Kind
    text: str
    detail: str = ""
    step: Step | None = None
    took: float = 0.0


Tell = Callable[[News], None]


@dataclass(slots=True)
class _Open:
    """An expectation that has begun, and is neither held nor failed yet."""

    step: Step
    began: float


@dataclass(slots=True)
class _Play:
    stage: Stage
    tell: Tell
    slack: float
    table: Table

    def begin(self, step: Step) -> _Open | None:
        """Do a step; what of it is to be watched."""
        began = self.stage.now()
        if isinstance(step.doing, Expect | Watch):
            return _Open(step, began)
        self.tell(News(began, Kind.DONE, step.text, step=step))
        self.stage.do(step.doing)
        return None

    def look(self, expectations: Sequence[_Open]) -> list[_Open]:
        """Tell what has changed; those of *expectations* that stay open."""
        config, table = self.stage.look()
        now = self.stage.now()
        for command in plan(self.table, table):
            self.tell(News(now, Kind.TABLE, str(command)))
        self.table = table
        return [one for one in expectations if not self._settled(one, config, now)]

    def _settled(self, one: _Open, config: Config, now: float) -> bool:
        if isinstance(one.step.doing, Expect):
            return self._settled_place(one, one.step.doing, config, now)
        assert isinstance(one.step.doing, Watch)  # noqa: S101 - nothing else is open
        return self._settled_watch(one, one.step.doing, now)

    def _settled_place(self, one: _Open, wanted: Expect, config: Config, now: float) -> bool:
        against = against_place(wanted.place, config, self.table)
        passed = now - one.began
        if not against:
            return passed >= wanted.lasting and self._end(one, now, "")
        patience = 0.0 if wanted.lasting else wanted.within + self.slack
        return passed >= patience and self._end(one, now, against)

    def _settled_watch(self, one: _Open, wanted: Watch, now: float) -> bool:
        end = one.began + wanted.seconds
        if now < end:
            return False
        sent = [r for r in self.stage.requests(wanted.demand.service) if one.began <= r.sent < end]
        if any(request.is_under_way for request in sent):
            return False
        against = against_demand(wanted.demand, sent, self.stage.names)
        return self._end(one, now, against, seen=summary(sent))

    def _end(self, one: _Open, now: float, against: str, *, seen: str = "") -> bool:
        kind = Kind.FAILED if against else Kind.HELD
        detail = "; ".join(part for part in (against, seen) if part)
        self.tell(News(now, kind, one.step.text, detail, one.step, now - one.began))
        return True


def play(scenario: Scenario, stage: Stage, tell: Tell, *, slack: float) -> None:
    """Play *scenario* to its end. Raises LBError when something that it does cannot be done."""
    _, table = stage.look()
    playing = _Play(stage, tell, slack, Table(timeouts=table.timeouts, daemons=table.daemons))
    expectations: list[_Open] = []
    agenda = list(scenario.steps)
    while agenda or expectations:
        expectations = playing.look(expectations)
        if _is_due(agenda, stage.now(), expectations):
            expectations += filter(None, [playing.begin(agenda.pop(0))])
            continue
        tick = stage.now() + _TICK
        stage.wait(min(tick, agenda[0].at) if agenda and not agenda[0].waits else tick)


def _is_due(agenda: Sequence[Step], now: float, expectations: Sequence[_Open]) -> bool:
    if not agenda or (agenda[0].waits and expectations):
        return False
    return agenda[0].at <= now
