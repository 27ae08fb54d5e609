"""The `ipvs-lb` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process, and exit with its status."""
    from ipvs_lb.cli.program import program

    program(prog_name="ipvs-lb")
