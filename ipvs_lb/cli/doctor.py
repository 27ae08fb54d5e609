"""`ipvs-lb doctor`: what is wrong with this gateway, and how is it mended?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ipvs_lb.amounts import plural
from ipvs_lb.cli.environment import environment
from ipvs_lb.cli.options import config_option, examples, output_option, state_dir_option
from ipvs_lb.cli.output import Format, echo_json, echo_lines
from ipvs_lb.cli.reach import socket_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipvs_lb.api.answers import Status
    from ipvs_lb.doctor import Daemon, Finding
    from ipvs_lb.model.config import Config

DOCTOR_SCHEMA = "ipvs_lb/doctor/1"
EXIT_CODES = {"error": 7, "warning": 6, "note": 0}
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command()
@config_option
@state_dir_option
@socket_option
@click.option(
    "--probe",
    is_flag=True,
    help="Also ask the links (ARP, neighbour discovery) who else has a VIP; takes half a second.",
)
@output_option
@examples(
    "ipvs-lb doctor",
    "ipvs-lb doctor -c lb.yaml --probe",
    "ipvs-lb doctor --output json | jq -r '.findings[] | select(.severity == \"error\") | .mend'",
)
def doctor(
    *,
    config_path: Path,
    state_dir: Path,
    socket_path: Path,
    probe: bool,
    output_format: Format,
) -> None:
    """Find what is wrong with this gateway, before and while it serves.

    Kernel, sysctls, routes, VIPs, limits, state and the daemon are looked at; nothing is changed. Without a
    configuration only the kernel's table and the machine are. docs/reference/doctor.md has every finding.

    \b
    Exit codes:
      0  nothing, or notes only
      6  warnings: it serves, somebody should look today
      7  errors: clients are not served as declared
    A configuration that is refused, and other errors, as of every command.
    """
    from ipvs_lb.checkup import Patient
    from ipvs_lb.doctor import diagnose

    patient = Patient(
        config=_config(config_path),
        config_path=config_path,
        state_dir=state_dir,
        socket=socket_path,
        daemon=_daemon(socket_path),
        probe=probe,
    )
    findings = diagnose(environment().examine(patient))
    if output_format is Format.JSON:
        echo_json({"schema": DOCTOR_SCHEMA, "findings": [asdict(finding) for finding in findings]})
    else:
        echo_lines(_lines(findings))
    click.get_current_context().exit(
        max((EXIT_CODES[finding.severity] for finding in findings), default=0)
    )


def _config(path: Path) -> Config | None:
    """The configuration; None where there is none at the usual place. Raises ConfigError."""
    from ipvs_lb.config import load

    source = click.get_current_context().get_parameter_source("config_path")
    if source is ParameterSource.DEFAULT and not path.exists():
        return None
    return load(path)


def _daemon(socket: Path) -> Daemon:
    from ipvs_lb.cli import daemon
    from ipvs_lb.doctor import Daemon
    from ipvs_lb.errors import LBError

    try:
        answer: Status = daemon.Daemon(socket).get("/v1/status")
    except daemon.AbsentError:
        return Daemon()
    except LBError:  # it is there, and does not say more
        return Daemon(running=True)
    return Daemon(running=True, config_error=tuple(answer["config_error"]))


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        word = click.style(finding.severity, fg=_COLOURS[finding.severity])
        yield f"{word} {finding.code}: {finding.what}"
        yield f"    {finding.effect}"
        yield f"    mend: {finding.mend}"
        yield f"    more: {finding.documented}"
    counts = [
        plural(count, severity)
        for severity in EXIT_CODES
        if (count := sum(finding.severity == severity for finding in findings))
    ]
    yield ", ".join(counts) or "nothing is wrong"
