"""A scenario in virtual time, from its first step to the record of what happened."""

from __future__ import annotations

from ipvs_lb.errors import UsageError
from ipvs_lb.scenario.play import Tell
from ipvs_lb.scenario.record import Record
from ipvs_lb.scenario.rehearsal import rehearse
from ipvs_lb.scenario.steps import Run, Scenario
from ipvs_lb.simulation.stage import opened


def refuse_programs(scenario: Scenario) -> None:
    """Raises UsageError when *scenario* has a step that cannot be simulated."""
    for step in scenario.steps:
        if isinstance(step.doing, Run):
            raise UsageError(
                f"{step.origin}: {step.text}: a program cannot be run in a simulation",
                hint="ipvs-lb lab test plays this scenario",
            )


def simulate(scenario: Scenario, tell: Tell) -> Record:
    """Play *scenario* without any kernel. The same one gives the same record."""
    return rehearse(scenario, opened, tell, slack=0.0)
