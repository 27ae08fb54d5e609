"""`ipvs-lb validate`: is a configuration right?"""

from __future__ import annotations

from pathlib import Path

import click

from ipvs_lb.amounts import plural
from ipvs_lb.cli.options import config_option, examples, output_option
from ipvs_lb.cli.output import Format, echo_json

VALIDATE_SCHEMA = "ipvs_lb/validate/1"


@click.command()
@config_option
@output_option
@click.argument("file", type=click.Path(path_type=Path), required=False)
@examples("ipvs-lb validate lb.yaml", "ipvs-lb validate -c lb.yaml --output json")
def validate(*, file: Path | None, config_path: Path, output_format: Format) -> None:
    """Check the configuration, and name every problem by line.

    Nothing is asked of the kernel. Exits with 2 when there is a problem.
    """
    from ipvs_lb.config import load

    path = file or config_path
    config = load(path)
    services = sum(len(declared.keys) for declared in config.services)
    servers = sum(len(declared.servers) for declared in config.services)
    if output_format is Format.JSON:
        echo_json(
            {
                "schema": VALIDATE_SCHEMA,
                "file": str(path),
                "ok": True,
                "service_count": services,
                "server_count": servers,
            }
        )
        return
    click.echo(f"{path}: ok, {plural(services, 'service')}, {plural(servers, 'server')}")
