"""The suites of other projects against the daemon on a real kernel: `python -m netns_tests.conformance [SUITE...]`.

Nobody has to answer for them: members are where nothing is, but for those of the walkthrough.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from ipvs_lb.lab.network import Network
from netns_tests.balance import build
from netns_tests.octavia import ORIGIN, Cloud, in_kernel, serving
from tests.octavia import suites


def main() -> int:
    """0 when everything passed, and nothing is left of it."""
    with tempfile.TemporaryDirectory() as folder, Network() as network:
        bench = build(network)
        with serving(bench, Path(folder)) as daemon, closing(Cloud(bench.gateway)) as cloud:
            is_passed = bench.gateway.call(suites.run, ORIGIN, sys.argv[1:])
            left = {**cloud.states(), **in_kernel(daemon)}
    sys.stdout.write(f"left over: {', '.join(left) or 'nothing'}\n")
    return 0 if is_passed and not left else 1


if __name__ == "__main__":
    sys.exit(main())
