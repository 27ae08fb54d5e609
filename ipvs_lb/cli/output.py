"""How results and problems reach the caller: text for a person, JSON for a program."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ipvs_lb.errors import ConfigError, LBError

if TYPE_CHECKING:
    from ipvs_lb.serial import JSON


class Format(enum.StrEnum):
    """The values of `--output`."""

    TEXT = "text"
    JSON = "json"


_META = "ipvs_lb.output"


def remember(format_: Format) -> None:
    """Keep the format that was asked for, for the errors of this run as well."""
    click.get_current_context().meta[_META] = format_


def is_json(context: click.Context) -> bool:
    """Whether JSON was asked for; errors before the option was read are text."""
    return context.meta.get(_META) is Format.JSON


def choose_colour(context: click.Context) -> None:
    """Follow NO_COLOR; otherwise click takes colours out where the stream is no terminal."""
    if os.environ.get("NO_COLOR"):
        context.color = False


def echo_json(value: JSON) -> None:
    """*value* on standard output, ending in a newline."""
    click.echo(json.dumps(value, indent=2))


def echo_lines(lines: Iterable[str]) -> None:
    """*lines* on standard output, in one write."""
    text = "\n".join(lines)
    if text:
        click.echo(text)


def echo_warnings(warnings: Iterable[str]) -> None:
    """*warnings* on standard error, in every format."""
    for warning in warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)


def echo_error(error: LBError, context: click.Context) -> None:
    """*error* on standard error in the format of this run."""
    if is_json(context):
        click.echo(json.dumps({"error": error_to_json(error)}, indent=2), err=True)
        return
    if isinstance(error, ConfigError):
        click.echo("\n".join(error.problems), err=True)
    else:
        click.echo(f"{click.style('error:', fg='red')} {error}", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {error.hint}", err=True)


def error_to_json(error: LBError) -> dict[str, JSON]:
    """*error* as an object: kind, message, hint, exit code, and the problems of a refused config."""
    problems: dict[str, JSON] = (
        {"problems": [*error.problems]} if isinstance(error, ConfigError) else {}
    )
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "hint": error.hint,
        "exit_code": error.exit_code,
        **problems,
    }
