"""A scenario on a real kernel, from its first host to the record of what happened."""

from __future__ import annotations

import time
from collections.abc import Callable

from ipvs_lb.errors import LBError
from ipvs_lb.scenario.play import News, play
from ipvs_lb.scenario.record import Record
from ipvs_lb.scenario.stage import opened
from ipvs_lb.scenario.steps import Scenario


def rehearse(scenario: Scenario, tell: Callable[[News], None], *, slack: float) -> Record:
    """Play *scenario* in network namespaces of its own; an error that ends it is in the record."""
    record, began = Record(scenario), time.monotonic()

    def note(news: News) -> None:
        record.news.append(news)
        tell(news)

    try:
        with opened(scenario) as stage:
            play(scenario, stage, note, slack=slack)
    except LBError as error:
        record.error = f"{error} ({error.hint})" if error.hint else str(error)
    record.seconds = time.monotonic() - began
    return record
