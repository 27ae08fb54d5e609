"""What the commands that talk to the daemon have in common: the names of servers, durations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import click

from ipvs_lb.cli.reach import where_of

_PATIENCE = 1.0  # seconds that somebody who pressed TAB waits

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", re.ASCII)


class Duration(click.ParamType[float]):
    """`30m`, `1h30m`, `2d`, `90s`, `90`: seconds, above 0."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The duration in seconds."""
        found = _DURATION.fullmatch(str(value).strip())
        parts = [int(part or 0) for part in found.groups()] if found else []
        seconds = sum(
            part * size for part, size in zip(parts, (86400, 3600, 60, 1), strict=bool(parts))
        )
        if not seconds:
            self.fail(f"{value!r} is not a duration, expected 90s, 30m, 1h30m or 2d", param, ctx)
        return float(seconds)


def _complete_servers(context: click.Context, _option: click.Parameter, typed: str) -> list[str]:
    return _names(context, "servers", typed)


def _complete_services(context: click.Context, _option: click.Parameter, typed: str) -> list[str]:
    return _names(context, "services", typed)


def _names(context: click.Context, kind: str, typed: str) -> list[str]:
    """What the daemon knows that starts with *typed*; nothing when there is none."""
    from ipvs_lb.cli.daemon import Daemon
    from ipvs_lb.errors import LBError

    try:
        daemon = Daemon(where_of(context, context.params), patience=_PATIENCE)
        names = daemon.get("/v1/names", {"prefix": typed})
    except LBError:
        return []
    return [str(name) for name in names[kind]]


servers_argument = click.argument(
    "servers",
    metavar="SERVER...",
    nargs=-1,
    required=True,
    shell_complete=_complete_servers,
)

some_servers_argument = click.argument(
    "servers", metavar="[SERVER]...", nargs=-1, shell_complete=_complete_servers
)

service_option = click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_services,
    help="Only servers of this service (name, tcp/ADDRESS:PORT, wildcards); can be repeated.",
)

for_option = click.option(
    "--for",
    "duration",
    type=Duration(),
    metavar="TIME",
    help="Take the order back by itself after this time: 90s, 30m, 1h30m, 2d.",
)

reason_option = click.option(
    "--reason", default="", metavar="TEXT", help="Why, for those who ask `explain` and `status`."
)


def echo_answer(answer: Mapping[str, object]) -> None:
    """What the daemon answered, on standard output as it came."""
    click.echo(json.dumps(answer, indent=2))
