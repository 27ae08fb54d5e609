"""`ipvs-lb top`: what the daemon does, live on the whole terminal."""

from __future__ import annotations

import os

import click

from ipvs_lb.cli.options import examples
from ipvs_lb.cli.reach import Where, daemon_options

PAUSE = 2.0
"""Seconds between two looks."""
_PATIENCE = 10.0


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=PAUSE,
    show_default=True,
    metavar="SECONDS",
    help="How often the daemon is asked.",
)
@daemon_options
@examples(
    "ipvs-lb top", "ipvs-lb top --every 0.5", "ipvs-lb top --url https://gateway.example:9443"
)
def top(*, every: float, where: Where) -> None:
    """Watch services and servers live, and drain or enable the selected one.

    States, weights, connections, rates, the last checks, and why. A daemon that is gone is told of until it is back. ? shows the
    keys, q quits. Colours go with NO_COLOR; no fact is told by colour alone.
    """
    from ipvs_lb.cli.daemon import Daemon
    from ipvs_lb.cli.top.feed import Feed
    from ipvs_lb.cli.top.terminal import show

    feed = Feed(Daemon(where, patience=_PATIENCE), every)
    show(feed, colour=not os.environ.get("NO_COLOR"))
