"""`ipvs-lb adopt`: what somebody else put into the kernel becomes ours as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipvs_lb.cli.change import alone, put_in_force
from ipvs_lb.cli.options import (
    CONFIG_PATH,
    examples,
    long_output_option,
    state_dir_option,
    wait_option,
)
from ipvs_lb.cli.output import Format
from ipvs_lb.cli.replacing import replace_file
from ipvs_lb.errors import UsageError

if TYPE_CHECKING:
    from ipvs_lb.engine.apply import Change

_COMMENT = """\
The table as it was when ipvs-lb adopted it. VIPs are `managed: no`: ipvs-lb neither sets nor removes them.
A check is suggested for each service: take the `#` away, and see what `ipvs-lb apply --check --dry-run` says."""


@click.command()
@click.option(
    "-o",
    "--write",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    default=CONFIG_PATH,
    envvar="IPVS_LB_CONFIG",
    show_default=True,
    show_envvar=True,
    metavar="FILE",
    help="The configuration to write.",
)
@click.option("--replace", is_flag=True, help="Write it even if there is one already.")
@state_dir_option
@wait_option
@long_output_option
@examples(
    "ipvs-lb adopt",
    "ipvs-lb adopt -o lb.yaml",
    "ipvs-lb adopt -o lb.yaml && ipvs-lb plan -c lb.yaml && ipvs-lb run -c lb.yaml",
)
def adopt(
    *, target: Path, replace: bool, state_dir: Path, wait: float, output_format: Format
) -> None:
    """Take over the live table as it is, whoever made it.

    Writes the configuration that means the same, with health checks suggested in comments, and records all services
    as ours. The kernel is not touched: if that could not be so, nothing is written or recorded. Whatever kept the
    table until now has to be stopped, in a way that leaves the table.
    """
    from ipvs_lb.config import loads, render
    from ipvs_lb.engine.apply import prepare

    if target.exists() and not replace:
        raise UsageError(f"{target} is there already", hint="-o another file, or --replace")
    with alone(state_dir, wait) as gateway:
        table = gateway.kernel.read()
        if not table.services:
            raise UsageError("there is nothing to adopt: the kernel has no virtual service")
        text = render(table, comment=_COMMENT, suggest_checks=True)
        change = prepare(loads(text), kernel=gateway.kernel, host=gateway.host, store=gateway.store)
        _demand_nothing(change)
        replace_file(target, text)
        if output_format is Format.TEXT:
            click.echo(f"Written: {target}")
        put_in_force(
            change,
            gateway,
            origin=str(target.absolute()),
            output_format=output_format,
            everything=False,
            extra={"written": str(target)},
        )


def _demand_nothing(change: Change) -> None:
    """Raises UsageError where taking over would not leave everything as it is."""
    from ipvs_lb.cli.steps import steps

    first = next(steps(change), None)
    if first is not None:
        raise UsageError(
            f"adopting would change what is there, first: {first.command}",
            hint="ipvs-lb status; what an earlier apply put there is in its own configuration",
        )
