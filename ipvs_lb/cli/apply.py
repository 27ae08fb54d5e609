"""`ipvs-lb apply`: put a configuration in force."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipvs_lb.cli.change import alone, only_show, put_in_force
from ipvs_lb.cli.environment import environment
from ipvs_lb.cli.options import (
    config_option,
    examples,
    output_option,
    prune_option,
    state_dir_option,
    verbose_option,
    wait_option,
)
from ipvs_lb.cli.output import Format, echo_warnings

if TYPE_CHECKING:
    from ipvs_lb.model.config import Config
    from ipvs_lb.policy import Member
    from ipvs_lb.serial import JSON


@click.command()
@config_option
@state_dir_option
@output_option
@verbose_option
@prune_option
@wait_option
@click.option(
    "--dry-run", is_flag=True, help="Show the plan and change nothing; exits as plan does."
)
@click.option(
    "--check", is_flag=True, help="Run each health check once, and leave out the servers that fail."
)
@examples(
    "ipvs-lb apply -c lb.yaml",
    "ipvs-lb apply -c lb.yaml --check",
    "ipvs-lb apply -c lb.yaml --dry-run",
    "ipvs-lb apply -c lb.yaml --wait 60 --output json",
)
def apply(
    *,
    config_path: Path,
    state_dir: Path,
    output_format: Format,
    verbose: bool,
    prune: bool,
    wait: float,
    dry_run: bool,
    check: bool,
) -> None:
    """Change the live kernel to what the configuration says, in one go.

    Only what the configuration declares, and what earlier runs put there, is touched. Capacity is added
    before any is taken away. When the kernel refuses something, everything is taken back and the exit code is 4.
    Applying twice changes nothing the second time.
    """
    from ipvs_lb.config import load
    from ipvs_lb.engine.apply import prepare

    config = load(config_path)
    failing = _failing(config) if check else {}
    opened = environment().open_gateway(state_dir) if dry_run else alone(state_dir, wait)
    with opened as gateway:
        change = prepare(
            config,
            kernel=gateway.kernel,
            host=gateway.host,
            store=gateway.store,
            down=failing.keys(),
            prune=prune,
        )
        if dry_run:
            only_show(change, gateway, output_format, everything=verbose)
            return
        put_in_force(
            change,
            gateway,
            origin=str(config_path.absolute()),
            output_format=output_format,
            everything=verbose,
            extra=_left_out(failing) if check else None,
        )


def _failing(config: Config) -> Mapping[Member, str]:
    """The members whose checks fail, each told on standard error."""
    from ipvs_lb.cli.checking import judge

    verdict = judge(config, environment().check_once)
    echo_warnings(f"{who} is left out: {why}" for who, why in verdict.failing.items())
    echo_warnings(f"{who} could not be checked: {why}" for who, why in verdict.unchecked.items())
    return verdict.failing


def _left_out(failing: Mapping[Member, str]) -> dict[str, JSON]:
    return {
        "left_out": [
            {
                "service": str(member.key),
                "address": str(member.server.address),
                "port": member.server.port,
                "reason": reason,
            }
            for member, reason in failing.items()
        ]
    }
