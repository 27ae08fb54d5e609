"""`ipvs-lb run`: the daemon."""

from __future__ import annotations

from pathlib import Path

import click

from ipvs_lb.cli.options import config_option, examples, state_dir_option
from ipvs_lb.cli.reach import socket_option


@click.command()
@config_option
@state_dir_option
@socket_option
@click.option(
    "--socket-group", metavar="GROUP", help="The group that may use the socket besides root."
)
@click.option(
    "--flush-on-stop",
    is_flag=True,
    help="Take services and VIPs out when stopped; without it they go on forwarding.",
)
@examples(
    "ipvs-lb run -c lb.yaml",
    "ipvs-lb run --socket-group adm",
    "systemctl reload ipvs-lb    # or: kill -HUP PID, or: ipvs-lb reload",
)
def run(
    *,
    config_path: Path,
    state_dir: Path,
    socket_path: Path,
    socket_group: str | None,
    flush_on_stop: bool,
) -> None:
    """Check every real server, and keep the kernel as the checks and the configuration say.

    SIGHUP reads the configuration again; a refused one leaves the old one in force. SIGTERM stops, and leaves the
    table forwarding. Only one ipvs-lb works with a state directory at a time.
    """
    from ipvs_lb.daemon.life import Settings
    from ipvs_lb.daemon.life import run as live

    live(
        Settings(
            config=config_path,
            state_dir=state_dir,
            socket=socket_path,
            socket_group=socket_group,
            flush_on_stop=flush_on_stop,
        )
    )
