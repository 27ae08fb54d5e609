"""`ipvs-lb rollback`: return to an earlier generation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipvs_lb.cli.change import alone, only_show, put_in_force
from ipvs_lb.cli.environment import environment
from ipvs_lb.cli.options import (
    examples,
    output_option,
    state_dir_option,
    verbose_option,
    wait_option,
)
from ipvs_lb.cli.output import Format, echo_json, echo_lines, echo_warnings
from ipvs_lb.errors import UsageError

if TYPE_CHECKING:
    from ipvs_lb.model.desired import GenerationSummary

GENERATIONS_SCHEMA = "ipvs_lb/generations/1"


@click.command()
@click.argument("generation", type=click.IntRange(min=1), required=False, metavar="[N]")
@state_dir_option
@output_option
@verbose_option
@wait_option
@click.option(
    "--dry-run", is_flag=True, help="Show the plan and change nothing; exits as plan does."
)
@click.option("--list", "listing", is_flag=True, help="List the generations that are kept.")
@examples("ipvs-lb rollback --list", "ipvs-lb rollback", "ipvs-lb rollback 3 --dry-run")
def rollback(
    *,
    generation: int | None,
    state_dir: Path,
    output_format: Format,
    verbose: bool,
    wait: float,
    dry_run: bool,
    listing: bool,
) -> None:
    """Put generation N in force again; without N the one before the newest.

    Every apply that changes something makes a generation, and so does a rollback: `rollback` twice is back
    at the start. The last 20 are kept. The configuration file is not changed.
    """
    from ipvs_lb.engine.apply import prepare_return

    if listing:
        _list(state_dir, output_format)
        return
    opened = environment().open_gateway(state_dir) if dry_run else alone(state_dir, wait)
    with opened as gateway:
        number = generation or _previous(gateway.store.generations())
        change = prepare_return(
            gateway.store.generation(number),
            kernel=gateway.kernel,
            host=gateway.host,
            store=gateway.store,
        )
        if dry_run:
            only_show(change, gateway, output_format, everything=verbose)
            return
        put_in_force(
            change,
            gateway,
            origin=f"rollback to {number}",
            output_format=output_format,
            everything=verbose,
        )


def _previous(kept: Sequence[GenerationSummary]) -> int:
    if len(kept) < 2:  # noqa: PLR2004  # the newest, and one before it
        raise UsageError(
            "there is no generation before the newest to return to",
            hint="see what is kept with `ipvs-lb rollback --list`",
        )
    return kept[-2].number


def _list(state_dir: Path, output_format: Format) -> None:
    from ipvs_lb.serial import summary_to_json

    with environment().open_gateway(state_dir) as gateway:
        kept = gateway.store.generations()
        echo_warnings(gateway.store.warnings)
    if output_format is Format.JSON:
        echo_json(
            {"schema": GENERATIONS_SCHEMA, "generations": [summary_to_json(one) for one in kept]}
        )
        return
    echo_lines(_lines(kept))


def _lines(kept: Sequence[GenerationSummary]) -> list[str]:
    if not kept:
        return ["Nothing has been applied yet."]
    heading = f"{'GENERATION':>10}  {'WHEN (UTC)':19}  {'SERVICES':>8}  {'SERVERS':>7}  FROM"
    return [heading, *map(_line, kept)]


def _line(one: GenerationSummary) -> str:
    when = datetime.fromtimestamp(one.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{one.number:>10}  {when}  {one.services:>8}  {one.servers:>7}  {one.origin}"
