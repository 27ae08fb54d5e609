"""The compatible API on a port of this machine, without a kernel: for trying real clients against it.

`python -m tests.octavia.serve --port 9876 --auth none`; with passwords, the users are admin, demo, watcher and
stranger, their password `correct horse`. It tells its address when it answers, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.model.api import Face
from ipvs_lb.model.cloud import Identification
from ipvs_lb.model.identity import Port
from tests.octavia.world import SETTINGS, World


async def _serve(port: int, identification: Identification) -> None:
    listener = replace(SETTINGS.listener, port=Port(port), identification=identification)
    world = World(settings=replace(SETTINGS, listener=listener))
    openings = Openings()
    openings.prepare([listener])
    with tempfile.TemporaryDirectory() as place:
        async with serving(
            world.control,
            Path(place) / "api.sock",
            openings=openings,
            faces={Face.OCTAVIA: world.app},
        ):
            print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201  # for whoever started it
            await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serve until standard input ends."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=9876)
    arguments.add_argument("--auth", type=Identification, default=Identification.NONE)
    given = arguments.parse_args()
    asyncio.run(_serve(given.port, given.auth))


if __name__ == "__main__":
    main()
