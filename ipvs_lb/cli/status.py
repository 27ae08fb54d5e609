"""`ipvs-lb status`: what is in the kernel now, and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ipvs_lb.cli.environment import Gateway, environment
from ipvs_lb.cli.options import config_option, examples, output_option, state_dir_option
from ipvs_lb.cli.output import Format, echo_json, echo_lines, echo_warnings
from ipvs_lb.errors import ConfigError

if TYPE_CHECKING:
    from ipvs_lb.cli.origins import Snapshot
    from ipvs_lb.model.config import Config


@click.command()
@config_option
@state_dir_option
@output_option
@examples(
    "ipvs-lb status",
    "ipvs-lb status --output json | jq '.services[] | select(.owner == \"foreign\")'",
    "watch ipvs-lb status",
)
def status(*, config_path: Path, state_dir: Path, output_format: Format) -> None:
    """Show the kernel's services and servers, their connections, rates and origin.

    Names come from the configuration where it can be read. A service is ours when a generation put it there,
    else it is foreign: apply leaves it alone.
    """
    from ipvs_lb.cli.status_json import status_to_json
    from ipvs_lb.cli.status_text import status_lines

    config = _config_if_there(config_path)
    with environment().open_gateway(state_dir) as gateway:
        snapshot = _snapshot(gateway, config)
        echo_warnings(gateway.store.warnings)
    if output_format is Format.JSON:
        echo_json(status_to_json(snapshot))
        return
    echo_lines(status_lines(snapshot))


def _snapshot(gateway: Gateway, config: Config | None) -> Snapshot:
    from ipvs_lb.cli.origins import Snapshot, in_order, origins

    table, statistics = in_order(gateway.kernel.read()), gateway.kernel.statistics()
    kept = gateway.store.generations()
    newest = gateway.store.generation(kept[-1].number) if kept else None
    return Snapshot(
        table=table,
        statistics=statistics,
        kernel=gateway.kernel.info(),
        origins=origins(table, gateway.store.owned(), newest, config),
        newest=None if newest is None else newest.summary,
    )


def _config_if_there(path: Path) -> Config | None:
    """The config for its names. Only one that was named on purpose has to be readable. Raises ConfigError."""
    from ipvs_lb.config import load

    source = click.get_current_context().get_parameter_source("config_path")
    if source is ParameterSource.DEFAULT and not path.exists():
        return None
    try:
        return load(path)
    except ConfigError as error:
        if source is not ParameterSource.DEFAULT:
            raise
        echo_warnings([f"no names, because {path} is refused: {error.problems[0]}"])
        return None
