"""The `ipvs-lb` command, which is also `ipvsadm` when a link of that name leads to it."""

from __future__ import annotations

import gc
import sys

_ALLOCATIONS = 100_000
"""Net allocations between two collections: a large table is all live, and walking it over and over finds nothing."""

_IPVSADM = "ipvsadm"


def main() -> None:
    """Run the command line of this process, and exit with its status."""
    gc.set_threshold(_ALLOCATIONS)
    called, *arguments = sys.argv
    if called.rpartition("/")[2] == _IPVSADM:
        _ipvsadm(arguments, called)
    if arguments[:1] == [_IPVSADM]:  # without all that the other commands need
        _ipvsadm(arguments[1:], _IPVSADM)

    from ipvs_lb.cli.program import program

    program(prog_name="ipvs-lb")


def _ipvsadm(arguments: list[str], called: str) -> None:
    from ipvs_lb.cli.ipvsadm.program import main as ipvsadm

    ipvsadm(arguments, called)
