"""The `ipvs-lb` command."""

from __future__ import annotations

import gc

_ALLOCATIONS = 100_000
"""Net allocations between two collections: a large table is all live, and walking it over and over finds nothing."""


def main() -> None:
    """Run the command line of this process, and exit with its status."""
    gc.set_threshold(_ALLOCATIONS)

    from ipvs_lb.cli.program import program

    program(prog_name="ipvs-lb")
