"""`ipvs-lb plan`: what would change in the live kernel?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipvs_lb.cli.environment import environment
from ipvs_lb.cli.options import (
    config_option,
    examples,
    output_option,
    prune_option,
    state_dir_option,
    verbose_option,
)
from ipvs_lb.cli.output import Format, echo_json, echo_lines, echo_warnings

if TYPE_CHECKING:
    from ipvs_lb.engine.apply import Change

HAS_CHANGES = 3
"""The exit code of a plan that is not empty."""


@click.command()
@config_option
@state_dir_option
@output_option
@verbose_option
@prune_option
@examples(
    "ipvs-lb plan -c lb.yaml",
    "ipvs-lb plan -c lb.yaml --output json | jq '.steps[]'",
    "ipvs-lb plan -c lb.yaml; [ $? = 3 ] && echo 'there is something to do'",
)
def plan(
    *, config_path: Path, state_dir: Path, output_format: Format, verbose: bool, prune: bool
) -> None:
    """Show what apply would change, in order, and what people would notice.

    Nothing is changed. Exits with 3 when there are changes, with 0 when there are none.
    """
    from ipvs_lb.config import load
    from ipvs_lb.engine.apply import prepare

    config = load(config_path)
    with environment().open_gateway(state_dir) as gateway:
        change = prepare(
            config, kernel=gateway.kernel, host=gateway.host, store=gateway.store, prune=prune
        )
        echo_warnings(gateway.store.warnings)
    show_plan(change, output_format, everything=verbose)
    click.get_current_context().exit(0 if change.is_empty else HAS_CHANGES)


def show_plan(change: Change, output_format: Format, *, everything: bool) -> None:
    """*change* on standard output, and in text what the operator has to set by hand on standard error."""
    if output_format is Format.JSON:
        from ipvs_lb.cli.plan_json import plan_to_json

        echo_json(plan_to_json(change))
        return
    from ipvs_lb.cli.plan_text import missing_lines, plan_lines

    echo_lines(plan_lines(change, everything=everything))
    echo_warnings(missing_lines(change))
