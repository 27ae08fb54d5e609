"""`ipvs-lb web`: the daemon's status page in this machine's browser, without a port in the configuration."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ipvs_lb.cli.options import examples
from ipvs_lb.cli.reach import socket_option

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="The port on 127.0.0.1. Default: a free one.",
)
@click.option("--no-browser", is_flag=True, help="Print the address alone.")
@socket_option
@examples(
    "ipvs-lb web",
    "ssh -t -L 8080:127.0.0.1:8080 root@gateway ipvs-lb web --port 8080    # then open what it prints",
)
def web(*, port: int, no_browser: bool, socket_path: Path) -> None:
    """Show the daemon's status page in a browser, until interrupted.

    The page is reached on a port of 127.0.0.1, by an address that is good for one browser, once. Orders that are given
    there are recorded as those of whoever runs this.
    """
    from ipvs_lb.cli.bridge import bridge
    from ipvs_lb.cli.daemon import Daemon

    Daemon(socket_path, patience=10.0).get("/v1/health", also=(503,))
    with bridge(socket_path, port) as (address, wait):
        click.echo(address)
        click.echo("For one browser; interrupt this to end it.", err=True)
        if not no_browser and any(os.environ.get(name) for name in _DISPLAYS):
            import webbrowser

            webbrowser.open(address)
        wait()
