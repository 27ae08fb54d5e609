"""`ipvs-lb schema`: the JSON Schema of the configuration."""

from __future__ import annotations

import click

from ipvs_lb.cli.options import examples
from ipvs_lb.cli.output import echo_json


@click.command()
@examples("ipvs-lb schema > schema.json")
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors and other checkers."""
    from ipvs_lb.config import schema as config_schema

    echo_json(config_schema())
