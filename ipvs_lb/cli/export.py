"""`ipvs-lb export`: the live table as a file."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import click

from ipvs_lb.cli.environment import environment
from ipvs_lb.cli.options import examples, state_dir_option
from ipvs_lb.cli.replacing import replace_file

if TYPE_CHECKING:
    from ipvs_lb.model.table import Table


class ExportFormat(enum.StrEnum):
    """The values of `--format`."""

    YAML = "yaml"
    IPVSADM = "ipvsadm"
    JSON = "json"


@click.command()
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice([format_.value for format_ in ExportFormat]),
    default=ExportFormat.YAML.value,
    show_default=True,
    help="A configuration, the rules `ipvsadm -R` reads, or JSON.",
)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write there instead of standard output; the file is replaced at once or not at all.",
)
@state_dir_option
@examples(
    "ipvs-lb export > lb.yaml",
    "ipvs-lb export --format ipvsadm -o rules.save",
    "ipvs-lb export --format json | jq '.services[].service'",
)
def export(*, format_name: str, target: Path | None, state_dir: Path) -> None:
    """Write the whole live table, foreign services too.

    As YAML it is a configuration: applied, it changes nothing.
    """
    with environment().open_gateway(state_dir) as gateway:
        table = gateway.kernel.read()
    text = _rendered(table, ExportFormat(format_name))
    if target is None:
        click.echo(text, nl=False)
        return
    replace_file(target, text)


def _rendered(table: Table, format_: ExportFormat) -> str:
    match format_:
        case ExportFormat.YAML:
            from ipvs_lb.config import render

            return render(table)
        case ExportFormat.IPVSADM:
            from ipvs_lb.ipvsadm.save import render as render_rules

            return render_rules(table)
        case ExportFormat.JSON:
            from ipvs_lb.serial import table_to_json

            return json.dumps(table_to_json(table), indent=2) + "\n"
        case _:
            assert_never(format_)
