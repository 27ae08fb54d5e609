"""`ipvs-lb lab`: networks and kernels to try things in."""

from __future__ import annotations

import click

from ipvs_lb.cli.options import examples


@click.group()
def lab() -> None:
    """Try things in a kernel and a network of their own."""


@lab.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--needs", multiple=True, metavar="FEATURE", help="What the kernel must have, nftables say."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    help="When to give up.",
)
@click.option("--memory", default="1G", show_default=True, help="How much the guest gets.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@examples(
    "ipvs-lb lab guest -- ipvsadm -Ln",
    "ipvs-lb lab guest --needs nftables -- pytest netns_tests",
)
def guest(*, needs: tuple[str, ...], timeout: float, memory: str, command: tuple[str, ...]) -> None:
    """Run COMMAND as root in a kernel with IPVS: this one if it can, else a guest.

    Output and exit status are the command's own. IPVS_LB_GUEST=host|uml|qemu forces a kind.
    """
    from ipvs_lb.lab.guest import run

    status = run(command, needs=frozenset(needs), timeout=timeout, memory=memory)
    click.get_current_context().exit(status)
