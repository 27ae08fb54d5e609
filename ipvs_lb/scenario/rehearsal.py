"""A scenario from its first step to the record of what happened, on whatever stage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from ipvs_lb.errors import LBError
from ipvs_lb.scenario.play import News, Stage, Tell, play
from ipvs_lb.scenario.record import Record
from ipvs_lb.scenario.steps import Scenario

Opening = Callable[[Scenario, Tell], AbstractContextManager[Stage]]
"""Builds the stage of a scenario, which may tell more than what is done on it."""


def rehearse(scenario: Scenario, opening: Opening, tell: Tell, *, slack: float) -> Record:
    """Play *scenario*, and *tell* what happens; an error that ends it is in the record."""
    record = Record(scenario)

    def note(news: News) -> None:
        record.news.append(news)
        tell(news)

    try:
        with opening(scenario, note) as stage:
            play(scenario, stage, note, slack=slack)
            record.seconds = stage.now()
    except LBError as error:
        record.error = f"{error} ({error.hint})" if error.hint else str(error)
    return record
