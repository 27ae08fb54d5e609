"""`ipvs-lb drain`, `enable`, `disable` and `weight`: orders to servers that stand until they are taken back."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ipvs_lb.cli.control_options import (
    echo_answer,
    for_option,
    reason_option,
    servers_argument,
    service_option,
)
from ipvs_lb.cli.options import examples, output_option
from ipvs_lb.cli.output import Format, echo_lines, echo_warnings
from ipvs_lb.cli.reach import Where, daemon_options

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Ordered, Server
    from ipvs_lb.cli.daemon import Daemon

Command = Callable[..., object]

POLL = 0.5
"""Seconds between two looks at servers that are waited for."""

_OVERRIDE = "/v1/servers/override"

wait_option = click.option(
    "--wait", is_flag=True, help="Come back when it is done in the kernel, and show how far it is."
)


def _to_servers(function: Command) -> Command:
    """Give a command what all four take: servers, and how to order them about; it gets that as `order`."""

    @functools.wraps(function)
    def command(
        *,
        servers: tuple[str, ...],
        services: tuple[str, ...],
        duration: float | None,
        reason: str,
        wait: bool,
        where: Where,
        output_format: Format,
        **own: object,
    ) -> object:
        terms = {"for": duration, "reason": reason}
        order = _Order(where, servers, services, terms, wait=wait, output_format=output_format)
        return function(order=order, **own)

    decorated: Command = command
    for decorate in (output_option, daemon_options, wait_option, service_option):
        decorated = decorate(decorated)
    return for_option(reason_option(decorated))


@click.command()
@servers_argument
@_to_servers
@examples(
    "ipvs-lb drain web/server-1",
    "ipvs-lb drain 10.0.0.4 --for 30m --reason 'new kernel' --wait",
    "ipvs-lb drain 'server-*' --service web --service mail",
)
def drain(*, order: _Order) -> None:
    """Give servers no new connections, and take them out when the old ones have ended.

    At the service's drain_timeout they go in any case. A server goes by its name, its address or ADDRESS:PORT, with
    SERVICE/ before it for one service; *, ? and [...] are wildcards.
    """
    order.give(action="drain")
    order.conclude(_is_drained)


@click.command()
@servers_argument
@_to_servers
@examples("ipvs-lb disable web/server-1 --reason 'disk is dying'", "ipvs-lb disable '10.0.1.*'")
def disable(*, order: _Order) -> None:
    """Take servers out at once, whatever their checks say.

    Established connections end, unless the service says `on_down: quiesce`; drain is gentler.
    """
    order.give(action="down")
    order.conclude(_is_in_force)


@click.command()
@servers_argument
@click.option(
    "--force", is_flag=True, help="Let them serve whatever their checks say, until taken back."
)
@_to_servers
@examples("ipvs-lb enable web/server-1", "ipvs-lb enable web/server-2 --force --for 1h")
def enable(*, order: _Order, force: bool) -> None:
    """Take back what drain, disable, weight or enable --force ordered: the checks decide again."""
    if not force and order.has_terms:
        raise click.UsageError("--for and --reason go with --force: otherwise nothing is ordered")
    if force:
        order.give(action="up")
    else:
        order.take_back()
    order.conclude(_is_in_force)


@click.command()
@servers_argument
@click.argument("weight", type=click.IntRange(0, 65535), metavar="WEIGHT")
@_to_servers
@examples("ipvs-lb weight web/server-1 5", "ipvs-lb weight 'web/*' mail/mx-1 10 --for 2h")
def weight(*, order: _Order, weight: int) -> None:
    """Give servers another weight than the declared or reported one, 0 to 65535.

    Their checks still decide whether they are in.
    """
    order.give(action="weight", weight=weight)
    order.conclude(_is_in_force)


class _Order:
    """One order to servers, from the daemon's word for who they are to its end."""

    def __init__(
        self,
        where: Where,
        servers: Sequence[str],
        services: Sequence[str],
        terms: Mapping[str, object],
        *,
        wait: bool,
        output_format: Format,
    ) -> None:
        from ipvs_lb.cli.daemon import Daemon

        self._daemon: Daemon = Daemon(where)
        self._servers = servers
        self._services = services
        self._terms = {name: value for name, value in terms.items() if value not in {None, ""}}
        self._waits = wait
        self._format = output_format
        self._answer: Ordered

    @property
    def has_terms(self) -> bool:
        """Whether it was said how long it holds, or why it is given."""
        return bool(self._terms)

    def give(self, **order: object) -> None:
        """Put a standing order on the servers."""
        chosen = {"servers": [*self._servers], "services": [*self._services]}
        self._answer = self._daemon.post(_OVERRIDE, {**chosen, **order, **self._terms})

    def take_back(self) -> None:
        """Take the servers' orders back."""
        self._answer = self._daemon.delete(_OVERRIDE, self._query())

    def conclude(self, done: Callable[[Server], bool]) -> None:
        """Show what came of it, if it is to be waited for when *done* is true of every server."""
        skipped = self._answer["skipped"]
        echo_warnings(f"{one['name']} of {one['service']}: {one['reason']}" for one in skipped)
        if self._waits:
            self._wait(done)
        if self._format is Format.JSON:
            echo_answer(self._answer)
        elif not self._waits:
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
    left = server["active_connections"] or server["inactive_connections"]
    return str((server["state"], server["weight"], left if server["state"] == "draining" else 0))


def _is_drained(server: Server) -> bool:
    return server["state"] == "drained" and server["kernel_weight"] is None


def _is_in_force(server: Server) -> bool:
    return server["weight"] == server["kernel_weight"]
