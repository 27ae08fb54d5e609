"""`ipvs-lb explain`, `check`, `events`, `health`, `reload` and `announce`: questions and errands to the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipvs_lb.amounts import plural
from ipvs_lb.cli.control_options import echo_answer, servers_argument, service_option
from ipvs_lb.cli.options import examples, output_option
from ipvs_lb.cli.output import Format, echo_lines
from ipvs_lb.cli.reach import Where, daemon_options

if TYPE_CHECKING:
    from ipvs_lb.api.answers import CheckResults, Done, Events, Explanations, Health

FAILED = 1
"""Exit code of a check that did not pass."""

_HEALTH_CODES = {"fine": 0, "degraded": 1, "failing": 2, "unknown": 3}


@click.command()
@servers_argument
@service_option
@daemon_options
@output_option
@examples("ipvs-lb explain web/server-2", "ipvs-lb explain 10.0.0.6 --output json")
def explain(
    *,
    servers: tuple[str, ...],
    services: tuple[str, ...],
    where: Where,
    output_format: Format,
) -> None:
    """Say why servers are in or out, with this weight, and what has to happen for a change.

    With the last results of their checks, the newest first.
    """
    from ipvs_lb.cli.daemon import Daemon, explain_path
    from ipvs_lb.cli.daemon_text import explanation_lines

    daemon = Daemon(where)
    answers: list[Explanations] = [
        daemon.get(explain_path(server), {"service": services}) for server in dict.fromkeys(servers)
    ]
    if output_format is Format.JSON:
        together = [explained for answer in answers for explained in answer["servers"]]
        echo_answer({**answers[0], "servers": together})
        return
    for answer in answers:
        for explained in answer["servers"]:
            echo_lines(explanation_lines(explained, answer["at"]))


@click.command()
@servers_argument
@service_option
@daemon_options
@output_option
@examples("ipvs-lb check web/server-2", "ipvs-lb check 'web/*' || echo 'somebody is ill'")
def check(
    *,
    servers: tuple[str, ...],
    services: tuple[str, ...],
    where: Where,
    output_format: Format,
) -> None:
    """Probe servers now, and show each phase of it.

    The results count like any other. Exits with 1 when a check does not pass.
    """
    from ipvs_lb.cli.daemon import Daemon
    from ipvs_lb.cli.daemon_text import checked_lines

    body = {"servers": [*servers], "services": [*services]}
    answer: CheckResults = Daemon(where).post("/v1/check", body)
    if output_format is Format.JSON:
        echo_answer(answer)
    else:
        for probe in answer["probes"]:
            echo_lines(checked_lines(probe))
        echo_lines(f"{name}: no check" for name in answer["unchecked"])
    if not answer["passed"]:
        click.get_current_context().exit(FAILED)


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Only events numbered above N.",
)
@daemon_options
@output_option
@examples(
    "ipvs-lb events", "ipvs-lb events --follow", "ipvs-lb events --follow --output json | jq .name"
)
def events(*, follow: bool, after: int, where: Where, output_format: Format) -> None:
    """Show what happened: the last thousand events, oldest first.

    With --follow --output json, one event a line.
    """
    from ipvs_lb.cli.daemon import Daemon
    from ipvs_lb.cli.daemon_text import event_line

    daemon = Daemon(where)
    if not follow:
        answer: Events = daemon.get("/v1/events", {"after": after})
        if output_format is Format.JSON:
            echo_answer(answer)
        else:
            echo_lines(map(event_line, answer["events"]))
        return
    import json

    for event in daemon.follow(after):
        click.echo(json.dumps(event) if output_format is Format.JSON else event_line(event))


@click.command()
@daemon_options
@output_option
@examples("ipvs-lb health", "ipvs-lb health >/dev/null || page-somebody")
def health(*, where: Where, output_format: Format) -> None:
    """Say whether the gateway does its work, for monitoring.

    \b
    Exit codes:
      0  fine
      1  degraded: clients are served, somebody should look today
      2  failing: a service has no server, a VIP is withdrawn, or the kernel cannot be asked
      3  the daemon does not answer
    """
    from ipvs_lb.cli.daemon import Daemon
    from ipvs_lb.cli.daemon_text import health_lines
    from ipvs_lb.errors import DaemonError

    try:
        answer: Health = Daemon(where, patience=10.0).get("/v1/health", also=(503,))
    except DaemonError as error:
        answer = {
            "schema": "ipvs_lb/health/1",
            "status": "unknown",
            "reasons": [str(error)],
        }
    if output_format is Format.JSON:
        echo_answer(answer)
    else:
        echo_lines(health_lines(answer))
    click.get_current_context().exit(_HEALTH_CODES[answer["status"]])


@click.command()
@daemon_options
@output_option
@examples("ipvs-lb reload", "ipvs-lb validate && ipvs-lb reload")
def reload(*, where: Where, output_format: Format) -> None:
    """Have the daemon read its configuration again.

    A refused one leaves the old one in force; exits with 2 and names every problem by line.
    """
    _errand(where, output_format, "reload", "Reloaded")


@click.command()
@daemon_options
@output_option
@examples("ipvs-lb announce")
def announce(*, where: Where, output_format: Format) -> None:
    """Have the daemon announce every VIP on its link once more."""
    _errand(where, output_format, "announce", "Announced")


def _errand(where: Where, output_format: Format, what: str, done: str) -> None:
    from ipvs_lb.cli.daemon import Daemon

    answer: Done = Daemon(where).post(f"/v1/{what}")
    if output_format is Format.JSON:
        echo_answer(answer)
        return
    counts = plural(answer["service_count"], "service"), plural(answer["server_count"], "server")
    click.echo(f"{done}: {', '.join(counts)}.")
