"""`ipvs-lb status`: what the daemon says of services and servers; without one, what is in the kernel."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ipvs_lb.cli.control_options import (
    echo_answer,
    service_option,
    some_servers_argument,
)
from ipvs_lb.cli.environment import Gateway, environment
from ipvs_lb.cli.options import config_option, examples, output_option, state_dir_option
from ipvs_lb.cli.output import Format, echo_json, echo_lines, echo_warnings
from ipvs_lb.cli.reach import Where, daemon_options
from ipvs_lb.errors import ConfigError, DaemonError

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Status
    from ipvs_lb.cli.daemon import Daemon, Query
    from ipvs_lb.cli.origins import Snapshot
    from ipvs_lb.model.config import Config

STATES = ("up", "idle", "draining", "drained", "down", "unknown", "standby", "disabled", "foreign")
PAUSE = 2.0
"""Seconds between two pictures of `--watch`."""


@click.command()
@some_servers_argument
@service_option
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Only servers in this state; can be repeated.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    is_flag=False,
    flag_value=PAUSE,
    metavar="[SECONDS]",
    help=f"Show it again every {PAUSE:g} seconds, or as many as are given.",
)
@config_option
@state_dir_option
@daemon_options
@output_option
@examples(
    "ipvs-lb status",
    "ipvs-lb status --state down --state draining",
    "ipvs-lb status 'web/*' --watch",
    "ipvs-lb status --output json | jq '.services[] | select(.owner == \"foreign\")'",
)
def status(
    *,
    servers: tuple[str, ...],
    services: tuple[str, ...],
    states: tuple[str, ...],
    watch: float | None,
    config_path: Path,
    state_dir: Path,
    where: Where,
    output_format: Format,
) -> None:
    """Show services and servers: health, weights, connections, rates, and why it is so.

    The daemon is asked. Where none runs on this machine, the kernel is, which knows nothing of health: names then come from the
    configuration where it can be read, and a service is ours when a generation put it there, else it is foreign.
    """
    from ipvs_lb.cli.daemon import AbsentError, Daemon

    daemon, query = Daemon(where), _query(servers, services, states)
    while watch is not None:
        _picture(daemon, query, output_format)
        time.sleep(watch)
    try:
        answer: Status = daemon.get("/v1/status", query)
    except AbsentError:
        if query:  # only the daemon can choose
            raise
        _show_kernel(config_path, state_dir, output_format)
        return
    _show(answer, output_format)


def _query(servers: tuple[str, ...], services: tuple[str, ...], states: tuple[str, ...]) -> Query:
    chosen = {"server": servers, "service": services, "state": states}
    return {name: values for name, values in chosen.items() if values}


def _show(answer: Status, output_format: Format) -> None:
    from ipvs_lb.cli.daemon_text import status_lines

    if output_format is Format.JSON:
        echo_answer(answer)
    else:
        echo_lines(status_lines(answer))


def _picture(daemon: Daemon, query: Query, output_format: Format) -> None:
    """One picture of `--watch`; a daemon that is being restarted is waited for."""
    from ipvs_lb.cli.daemon_text import status_lines

    try:
        answer: Status = daemon.get("/v1/status", query)
    except DaemonError as error:
        echo_warnings([str(error)])
        return
    if output_format is Format.JSON:
        click.echo(json.dumps(answer))
        return
    click.clear()
    echo_lines(status_lines(answer))


def _show_kernel(config_path: Path, state_dir: Path, output_format: Format) -> None:
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
    click.echo("no daemon runs here: this is the kernel's table, without health")


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
