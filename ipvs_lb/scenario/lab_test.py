"""A scenario on a real kernel."""

from __future__ import annotations

import time

from ipvs_lb.scenario.play import Tell
from ipvs_lb.scenario.record import Record
from ipvs_lb.scenario.rehearsal import rehearse
from ipvs_lb.scenario.stage import opened
from ipvs_lb.scenario.steps import Scenario


def lab_test(scenario: Scenario, tell: Tell, *, slack: float) -> Record:
    """Play *scenario* in network namespaces of its own; its seconds are those that all of it took."""
    began = time.monotonic()
    record = rehearse(scenario, lambda played, _: opened(played), tell, slack=slack)
    record.seconds = time.monotonic() - began
    return record
