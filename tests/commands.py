"""Command lines, read by the program itself but not carried out."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ipvs_lb.cli.program import program


def parse(words: Sequence[str]) -> dict[str, object]:
    """What the words after `ipvs-lb` mean. Raises click.UsageError when there is no such command or option.

    In the program's own context: commands keep what help is called in the first one they are in.
    """
    command: click.Command = program
    context, left = click.Context(program, **program.context_settings), list(words)
    while isinstance(command, click.Group):
        name, found, left = command.resolve_command(context, left)
        assert found is not None, name
        command, context = found, click.Context(found, parent=context, **found.context_settings)
    options, _, _ = command.make_parser(context).parse_args(left)
    return options
