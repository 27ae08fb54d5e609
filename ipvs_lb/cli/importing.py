"""`ipvs-lb import`: another program's configuration as one of ours."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipvs_lb.amounts import plural
from ipvs_lb.cli.options import examples, long_output_option
from ipvs_lb.cli.output import Format, echo_json
from ipvs_lb.cli.replacing import replace_file
from ipvs_lb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipvs_lb.imports.convert import Imported
    from ipvs_lb.imports.findings import Finding
    from ipvs_lb.imports.kinds import Kind
    from ipvs_lb.serial import JSON

IMPORT_SCHEMA = "ipvs_lb/import/1"
INCOMPLETE = 5
"""Exit code: something has been left out."""

_KINDS = ("keepalived", "ldirectord", "ipvsadm", "ipvsctl")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--from",
    "kind_name",
    type=click.Choice(_KINDS),
    help="Whose file it is. Default: as it looks.",
)
@click.option(
    "-o",
    "--write",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the configuration there instead of standard output; the file is replaced at once or not at all.",
)
@click.option(
    "--config-id",
    metavar="NAME",
    help="What keepalived compares @NAME lines with. Default: the first part of this machine's name.",
)
@long_output_option
@examples(
    "ipvs-lb import /etc/keepalived/keepalived.conf > lb.yaml",
    "ipvs-lb import /etc/ha.d/ldirectord.cf -o /etc/ipvs-lb/config.yaml",
    "ipvsadm -Sn | ipvs-lb import - --from ipvsadm",
    "ipvs-lb import keepalived.conf --output json | jq '.left_out[].place'",
)
def import_(
    *,
    file: Path,
    kind_name: str | None,
    target: Path | None,
    config_id: str | None,
    output_format: Format,
) -> None:
    """Write the configuration that means what another program's FILE means.

    Reads keepalived.conf, ldirectord.cf, rules of ipvsadm and ipvsctl's YAML; FILE may be - for standard input. The
    configuration goes to standard output, and what is not carried over as it is to standard error, each setting with
    its line, the reason and what to do; it stands in the configuration, too. VIPs stay with who holds them now
    (managed: no).

    \b
    Exit codes:
      0  everything is carried over, though some things may be said in another way
      5  something has been left out
    """
    from ipvs_lb.imports.convert import convert
    from ipvs_lb.imports.files import Files, read_file, read_standard_input

    text = read_standard_input() if str(file) == "-" else read_file(file)
    kind = _kind(kind_name, text.text, text.name)
    name = config_id or platform.node().partition(".")[0]
    imported = convert(text, kind, source=Files(), config_id=name)
    if target is not None:
        replace_file(target, imported.text)
    if output_format is Format.JSON:
        echo_json(_json(imported, text.name, target))
    else:
        _tell(imported, text.name, target)
    from ipvs_lb.imports.findings import Effect

    if imported.those(Effect.LEFT_OUT):
        click.get_current_context().exit(INCOMPLETE)


def _kind(chosen: str | None, text: str, name: str) -> Kind:
    from ipvs_lb.imports.kinds import Kind, guess

    kind = Kind(chosen) if chosen else guess(text)
    if kind is None:
        raise UsageError(
            f"{name} looks like none of {', '.join(_KINDS)}", hint="say whose it is with --from"
        )
    return kind


def _tell(imported: Imported, name: str, target: Path | None) -> None:
    from ipvs_lb.imports.findings import Effect

    if target is None:
        click.echo(imported.text, nl=False)
    for finding in imported.findings:
        click.echo(str(finding), err=True)
    counts = [f"{len(imported.those(effect))} {effect}" for effect in Effect]
    click.echo(
        f"{name} ({imported.kind}): {plural(imported.services, 'service')}, "
        f"{plural(imported.servers, 'server')}; {', '.join(counts)}",
        err=True,
    )


def _json(imported: Imported, name: str, target: Path | None) -> JSON:
    from ipvs_lb.imports.findings import Effect

    return {
        "schema": IMPORT_SCHEMA,
        "file": name,
        "from": str(imported.kind),
        "written": None if target is None else str(target),
        "config": imported.text if target is None else None,
        "service_count": imported.services,
        "server_count": imported.servers,
        "left_out": _findings(imported.those(Effect.LEFT_OUT)),
        "changed": _findings(imported.those(Effect.CHANGED)),
        "unneeded": _findings(imported.those(Effect.UNNEEDED)),
    }


def _findings(findings: Iterable[Finding]) -> list[JSON]:
    return [
        {
            "place": str(one.mark),
            "file": one.mark.file,
            "line": one.mark.line,
            "what": one.what,
            "reason": one.why,
            "todo": one.todo or None,
        }
        for one in findings
    ]
