"""`ipvs-lb simulate`: what would follow?"""

from __future__ import annotations

from pathlib import Path

import click

from ipvs_lb.cli.options import config_option, examples, output_option
from ipvs_lb.cli.output import Format
from ipvs_lb.cli.scenarios import junit_option, scenarios_argument, show_all


@click.command()
@config_option
@junit_option
@output_option
@scenarios_argument
@examples(
    "ipvs-lb simulate -c lb.yaml scenario.yaml",
    "ipvs-lb simulate -c lb.yaml --output json scenarios/*.yaml",
)
def simulate(
    *,
    scenarios: tuple[Path, ...],
    config_path: Path,
    junit: Path | None,
    output_format: Format,
) -> None:
    """Play scenarios of failures in virtual time, and show every decision and what changes in the table.

    The daemon's own engine decides; kernel, servers and clients are only described. It takes neither root nor
    time, and touches nothing. The same scenarios run on a real kernel with `ipvs-lb lab test`.

    \b
    Exit codes:
      0  every expectation held
      1  one did not, or a scenario could not be played
      2  the configuration or a scenario is refused
    """
    from ipvs_lb.scenario.reading import read_scenario
    from ipvs_lb.simulation.simulate import refuse_programs
    from ipvs_lb.simulation.simulate import simulate as play

    played = [read_scenario(path, config_path) for path in scenarios]
    for one in played:
        refuse_programs(one)
    click.get_current_context().exit(show_all(played, play, output_format, junit))
