"""The command group: what every command has in common, errors and exit codes above all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from keyword import iskeyword

import click

from ipvs_lb.cli.output import choose_colour, echo_error
from ipvs_lb.errors import LBError

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""

PIPE_CLOSED = 141
"""128 + SIGPIPE, as a shell reports it."""


_OWN = (
    "validate",
    "plan",
    "apply",
    "run",
    "rollback",
    "status",
    "export",
    "adopt",
    "doctor",
    "simulate",
)
_MODULES = {
    **{name: name for name in _OWN},
    "import": "importing",
    "schema": "schema",
    "lab": "lab",
    **dict.fromkeys(("explain", "check", "events", "health", "reload", "announce"), "ask"),
    "web": "web",
    "top": "top.command",
    **dict.fromkeys(("drain", "enable", "disable", "weight"), "orders"),
    "octavia": "octavia",
    "ipvsadm": "old_manners",
}
"""Where in `ipvs_lb.cli` the command of each name is."""


class _Commands(MutableMapping[str, click.Command]):
    """The commands by name, each loaded when it is asked for: most runs need one, and the daemon keeps what it loads."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module = import_module(f"ipvs_lb.cli.{_MODULES[name]}")
            self._loaded[name] = getattr(module, f"{name}_" if iskeyword(name) else name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __contains__(self, name: object) -> bool:
        return name in _MODULES

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise AssertionError(name)

    def __delitem__(self, name: str) -> None:
        raise AssertionError(name)


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
    commands=_Commands(),
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
    The codes of health and doctor are their own.
    """
