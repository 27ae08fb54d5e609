"""`ipvs-lb ipvsadm` among the other commands; `ipvs_lb.cli.main` sees to it that a real one does not come here."""

from __future__ import annotations

import click


@click.command(
    "ipvsadm",
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
    short_help="Speak ipvsadm's command line, for scripts and programs.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def ipvsadm(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Do what ipvsadm does when it is given the same arguments."""
    from ipvs_lb.cli.ipvsadm.program import run

    ctx.exit(run(arguments, ctx.command_path))
