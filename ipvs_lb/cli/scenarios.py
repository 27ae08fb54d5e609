"""What the commands that play scenarios share: their arguments, and how results are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipvs_lb.cli.output import Format, echo_json

if TYPE_CHECKING:
    from ipvs_lb.scenario.play import News, Tell
    from ipvs_lb.scenario.record import Record
    from ipvs_lb.scenario.steps import Scenario

    Play = Callable[[Scenario, Tell], Record]

FAILED = 1
"""Exit code of a scenario whose expectations did not all hold."""

COLOURS = {"held": "green", "failed": "red", "table": "cyan"}

junit_option = click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the results as JUnit XML too.",
)
scenarios_argument = click.argument(
    "scenarios", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SCENARIO..."
)


def show_all(
    scenarios: Iterable[Scenario], play: Play, output_format: Format, junit: Path | None
) -> int:
    """Play *scenarios*, show what happens as it does and what came of it at the end; the exit code."""
    records = [_shown(one, play, output_format) for one in scenarios]
    _report(records, output_format, junit)
    return 0 if all(record.passed for record in records) else FAILED


def _shown(scenario: Scenario, play: Play, output_format: Format) -> Record:
    if output_format is Format.JSON:
        return play(scenario, lambda _: None)
    click.secho(f"{scenario.name} ({scenario.file}, {scenario.config})", bold=True)
    record = play(scenario, _echo)
    if record.error is not None:
        click.secho(f"  error: {record.error}", fg="red")
    click.secho(f"  {record.result}", fg="green" if record.passed else "red")
    return record


def _echo(news: News) -> None:
    from ipvs_lb.scenario.record import line

    click.secho(f"  {line(news)}", fg=COLOURS.get(news.kind))


def _report(records: Sequence[Record], output_format: Format, junit: Path | None) -> None:
    from ipvs_lb.scenario.record import to_json, to_junit

    if output_format is Format.JSON:
        echo_json(to_json(records))
    if junit is not None:
        junit.write_text(to_junit(records), "utf-8")
