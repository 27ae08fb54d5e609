"""`python -m ipvs_lb.lab [--needs nftables] [--timeout N] [--mem 2G] COMMAND...`: run it in a kernel with IPVS."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from ipvs_lb.errors import LBError
from ipvs_lb.lab.guest import DEFAULT_MEMORY, DEFAULT_TIMEOUT, Kind, run
from ipvs_lb.lab.packages import say


def main(arguments: Sequence[str] | None = None) -> int:
    """The command's own exit status; 124 when its time is over, 125 when the guest failed it."""
    signal.signal(signal.SIGTERM, _stop)
    options = _parser().parse_args(arguments)
    try:
        return run(
            options.command,
            needs=frozenset(options.needs),
            timeout=options.timeout,
            memory=options.mem,
            kind=Kind(options.kind) if options.kind else None,
        )
    except LBError as error:
        say(f"error: {error}")
        if error.hint:
            say(f"hint: {error.hint}")
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="guest", description="Run COMMAND as root in a kernel that has IPVS."
    )
    parser.add_argument("--needs", action="append", default=[], choices=["nftables"])
    parser.add_argument("--timeout", type=float, default=DEFAULT_TIMEOUT, metavar="SECONDS")
    parser.add_argument("--mem", default=DEFAULT_MEMORY, metavar="SIZE", help="like 512M or 2G")
    parser.add_argument("--kind", choices=list(Kind), help="take this kernel, whatever is there")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND...")
    return parser


def _stop(signal_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal_number)


if __name__ == "__main__":
    sys.exit(main())
