"""`ipvs-lb drain`, `enable`, `disable` and `weight`: orders to servers that stand until they are taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ipvs_lb.cli.control_options import (
    echo_answer,
    for_option,
    reason_option,
    servers_argument,
    service_option,
    socket_option,
)
from ipvs_lb.cli.options import examples, output_option
from ipvs_lb.cli.output import Format, echo_lines, echo_warnings

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Ordered, Server
    from ipvs_lb.cli.daemon import Daemon

F = TypeVar("F", bound=Callable[..., object])

POLL = 0.5
"""Seconds between two looks at servers that are waited for."""

_OVERRIDE = "/v1/servers/override"

wait_option = click.option(
    "--wait", is_flag=True, help="Come back when it is done in the kernel, and show how far it is."
)


def _shared(function: F) -> F:
    """What all four commands take."""
    for decorate in (output_option, socket_option, wait_option, service_option):
        function = decorate(function)
    return function


@click.command()
@servers_argument
@for_option
@reason_option
@_shared
@examples(
    "ipvs-lb drain web/server-1",
    "ipvs-lb drain 10.0.0.4 --for 30m --reason 'new kernel' --wait",
    "ipvs-lb drain 'server-*' --service web --service mail",
)
def drain(
    *,
    servers: tuple[str, ...],
    services: tuple[str, ...],
    duration: float | None,
    reason: str,
    wait: bool,
    socket_path: Path,
    output_format: Format,
) -> None:
    """Give servers no new connections, and take them out when the old ones have ended.

    At the service's drain_timeout they go in any case. A server goes by its name, its address or ADDRESS:PORT, with
    SERVICE/ before it for one service; *, ? and [...] are wildcards.
    """
    order = _Order(socket_path, servers, services, output_format)
    order.give({"action": "drain", "for": duration, "reason": reason})
    order.conclude(_is_drained if wait else None)


@click.command()
@servers_argument
@for_option
@reason_option
@_shared
@examples("ipvs-lb disable web/server-1 --reason 'disk is dying'", "ipvs-lb disable '10.0.1.*'")
def disable(
    *,
    servers: tuple[str, ...],
    services: tuple[str, ...],
    duration: float | None,
    reason: str,
    wait: bool,
    socket_path: Path,
    output_format: Format,
) -> None:
    """Take servers out at once, whatever their checks say.

    Established connections end, unless the service says `on_down: quiesce`; drain is gentler.
    """
    order = _Order(socket_path, servers, services, output_format)
    order.give({"action": "down", "for": duration, "reason": reason})
    order.conclude(_is_in_force if wait else None)


@click.command()
@servers_argument
@click.option(
    "--force", is_flag=True, help="Let them serve whatever their checks say, until taken back."
)
@for_option
@reason_option
@_shared
@examples("ipvs-lb enable web/server-1", "ipvs-lb enable web/server-2 --force --for 1h")
def enable(
    *,
    servers: tuple[str, ...],
    services: tuple[str, ...],
    force: bool,
    duration: float | None,
    reason: str,
    wait: bool,
    socket_path: Path,
    output_format: Format,
) -> None:
    """Take back what drain, disable, weight or enable --force ordered: the checks decide again."""
    if not force and (duration is not None or reason):
        raise click.UsageError("--for and --reason go with --force: otherwise nothing is ordered")
    order = _Order(socket_path, servers, services, output_format)
    if force:
        order.give({"action": "up", "for": duration, "reason": reason})
    else:
        order.take_back()
    order.conclude(_is_in_force if wait else None)


@click.command()
@servers_argument
@click.argument("weight", type=click.IntRange(0, 65535), metavar="WEIGHT")
@for_option
@reason_option
@_shared
@examples("ipvs-lb weight web/server-1 5", "ipvs-lb weight 'web/*' mail/mx-1 10 --for 2h")
def weight(
    *,
    servers: tuple[str, ...],
    weight: int,
    services: tuple[str, ...],
    duration: float | None,
    reason: str,
    wait: bool,
    socket_path: Path,
    output_format: Format,
) -> None:
    """Give servers another weight than the declared or reported one, 0 to 65535.

    Their checks still decide whether they are in.
    """
    order = _Order(socket_path, servers, services, output_format)
    order.give({"action": "weight", "weight": weight, "for": duration, "reason": reason})
    order.conclude(_is_in_force if wait else None)


class _Order:
    """One order to servers, from the daemon's word for who they are to its end."""

    def __init__(
        self,
        socket_path: Path,
        servers: Sequence[str],
        services: Sequence[str],
        output_format: Format,
    ) -> None:
        from ipvs_lb.cli.daemon import Daemon

        self._daemon: Daemon = Daemon(socket_path)
        self._servers = servers
        self._services = services
        self._format = output_format
        self._answer: Ordered

    def give(self, order: Mapping[str, object]) -> None:
        """Put a standing order on the servers."""
        said = {name: value for name, value in order.items() if value is not None}
        chosen = {"servers": [*self._servers], "services": [*self._services]}
        self._answer = self._daemon.post(_OVERRIDE, {**chosen, **said})

    def take_back(self) -> None:
        """Take the servers' orders back."""
        self._answer = self._daemon.delete(_OVERRIDE, self._query())

    def conclude(self, done: Callable[[Server], bool] | None) -> None:
        """Show what came of it, when *done* is true of every server."""
        skipped = self._answer["skipped"]
        echo_warnings(f"{one['name']} of {one['service']}: {one['reason']}" for one in skipped)
        if done is not None:
            self._wait(done)
        if self._format is Format.JSON:
            echo_answer(self._answer)
        elif done is None:
            self._tell(self._answer["servers"])

    def _wait(self, done: Callable[[Server], bool]) -> None:
        told: dict[tuple[str, ...], str] = {}
        wanted = {_identity(server) for server in self._answer["servers"]}
        while True:
            changed = [
                server
                for server in self._answer["servers"]
                if told.get(_identity(server)) != _progress(server)
            ]
            if self._format is Format.TEXT:
                self._tell(changed)
            told.update((_identity(server), _progress(server)) for server in changed)
            if all(map(done, self._answer["servers"])):
                return
            time.sleep(POLL)
            servers = self._daemon.get("/v1/servers", self._query())["servers"]
            self._answer["servers"] = [one for one in servers if _identity(one) in wanted]

    def _query(self) -> dict[str, Sequence[str]]:
        return {"server": self._servers, "service": self._services}

    def _tell(self, servers: Sequence[Server]) -> None:
        from ipvs_lb.cli.daemon_text import server_line

        echo_lines(map(server_line, servers))


def _identity(server: Server) -> tuple[str, ...]:
    return server["service"], server["address"], str(server["port"])


def _progress(server: Server) -> str:
    """What is worth a line when it changes; times go by all the time."""
    connections = (server["active_connections"], server["inactive_connections"])
    left = connections if server["state"] == "draining" else ()
    return str((server["state"], server["weight"], *left))


def _is_drained(server: Server) -> bool:
    return server["state"] == "drained" and server["kernel_weight"] is None


def _is_in_force(server: Server) -> bool:
    return server["weight"] == server["kernel_weight"]
