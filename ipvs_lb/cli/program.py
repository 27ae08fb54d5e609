"""The command group: what every command has in common, errors and exit codes above all."""

from __future__ import annotations

import os
import sys

import click

from ipvs_lb.cli.apply import apply
from ipvs_lb.cli.ask import announce, check, events, explain, health, reload
from ipvs_lb.cli.export import export
from ipvs_lb.cli.importing import import_
from ipvs_lb.cli.lab import lab
from ipvs_lb.cli.octavia import octavia
from ipvs_lb.cli.orders import disable, drain, enable, weight
from ipvs_lb.cli.output import choose_colour, echo_error
from ipvs_lb.cli.plan import plan
from ipvs_lb.cli.rollback import rollback
from ipvs_lb.cli.run import run
from ipvs_lb.cli.schema import schema
from ipvs_lb.cli.status import status
from ipvs_lb.cli.validate import validate
from ipvs_lb.cli.web import web
from ipvs_lb.errors import LBError

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""

PIPE_CLOSED = 141
"""128 + SIGPIPE, as a shell reports it."""


class Program(click.Group):
    """The one place where errors become messages and exit codes."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command of *ctx*; an LBError, an interruption or a closed pipe ends it without a traceback."""
        choose_colour(ctx)
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
        except LBError as error:
            echo_error(error, ctx)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _silence_stdout()
            ctx.exit(PIPE_CLOSED)
        return result


def _silence_stdout() -> None:
    """Nobody reads any more: let Python's own flush at exit go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="ipvs-lb", prog_name="ipvs-lb")
def program() -> None:
    """Turn this machine into a layer-4 load balancer with the kernel's own IPVS.

    \b
    Examples:
      ipvs-lb validate -c lb.yaml    is the file right?
      ipvs-lb plan -c lb.yaml        what would change in the kernel?
      ipvs-lb apply -c lb.yaml       change it
      ipvs-lb status                 what is there now?
      ipvs-lb rollback               return to what was before
      ipvs-lb explain web/server-1   why is it in or out? (asks the daemon)
      ipvs-lb drain web/server-1     empty it gently (tells the daemon)

    \b
    Exit codes:
      0  done, or nothing to do
      1  error
      2  the configuration or the command line is refused
      3  the plan has changes (plan, --dry-run)
      4  the kernel refused; what was done has been taken back
      5  something could not be carried over (import)
    The codes of health are its own.
    """


for command in (
    *(validate, plan, apply, run, rollback, status, export, import_, schema, lab),
    *(explain, check, events, health, reload, announce, web),
    *(drain, enable, disable, weight),
    octavia,
):
    program.add_command(command)
