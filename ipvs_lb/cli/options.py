"""The options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from ipvs_lb.cli.output import Format, remember

F = TypeVar("F", bound=Callable[..., object])

CONFIG_PATH = Path("/etc/ipvs-lb/config.yaml")
STATE_DIR = Path("/var/lib/ipvs-lb")

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=CONFIG_PATH,
    envvar="IPVS_LB_CONFIG",
    show_default=True,
    show_envvar=True,
    metavar="FILE",
    help="The configuration.",
)

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE_DIR,
    envvar="IPVS_LB_STATE_DIR",
    show_default=True,
    show_envvar=True,
    metavar="DIRECTORY",
    help="Where generations and what is ours are kept.",
)

wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another ipvs-lb that is changing this gateway.",
)

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Show every service of a big plan."
)

prune_option = click.option(
    "--prune",
    is_flag=True,
    help="Also remove services that are neither declared nor ours (shown as foreign by status).",
)


def _remember(_context: click.Context, _option: click.Parameter, value: str) -> Format:
    chosen = Format(value)
    remember(chosen)
    return chosen


def _output(*names: str) -> Callable[[F], F]:
    return click.option(
        *names,
        "output_format",
        type=click.Choice([format_.value for format_ in Format]),
        default=Format.TEXT.value,
        is_eager=True,
        callback=_remember,
        show_default=True,
        help="Text for people, or JSON for programs.",
    )


output_option = _output("-o", "--output")
long_output_option = _output("--output")
"""Where `-o` is something else."""


def examples(*lines: str) -> Callable[[F], F]:
    """Append the examples to a command's help, one a line, as they are to be typed."""

    def add(function: F) -> F:
        listing = "\n".join(f"  {line}" for line in lines)
        help_text = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = f"{help_text}\n\n\b\nExamples:\n{listing}\n"
        return function

    return add
