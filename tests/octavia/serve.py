"""The compatible API on a port of this machine, without a kernel: for trying real clients against it.

`python -m tests.octavia.serve --port 9876 --auth none`; with passwords, the users are admin, demo, watcher and
stranger, their password `correct horse`. It tells its address when it answers, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.model.api import Face
from ipvs_lb.model.cloud import Identification
from ipvs_lb.model.identity import Port
from tests.octavia.world import SETTINGS, World
from tests.probes.servers import free_port

T = TypeVar("T")
_PATIENCE = 10.0


def world_on(port: int, identification: Identification = Identification.NONE) -> World:
    """A gateway that is to answer there."""
    listener = replace(SETTINGS.listener, port=Port(port), identification=identification)
    return World(settings=replace(SETTINGS, listener=listener))


async def _serve(world: World, until: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Answer *until* it returns."""
    openings = Openings()
    openings.prepare([world.settings.listener])
    with tempfile.TemporaryDirectory() as place:
        async with serving(
            world.control,
            Path(place) / "api.sock",
            openings=openings,
            faces={Face.OCTAVIA: world.app},
        ):
            await until()


@dataclass
class Served:
    """A gateway that answers on a loop and a thread of its own. `problems`: what nobody caught there."""

    world: World
    loop: asyncio.AbstractEventLoop
    problems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.world.settings.listener.port}"

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of *work* on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(_PATIENCE)


@contextmanager
def served() -> Iterator[Served]:
    """One that answers meanwhile."""
    loop, stop, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    one = Served(world_on(free_port()), loop)

    async def until() -> None:
        started.set()
        await stop.wait()

    loop.set_exception_handler(lambda _loop, context: one.problems.append(context))
    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(one.world, until)))
    thread.start()
    try:
        assert started.wait(_PATIENCE)
        yield one
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_PATIENCE)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def main() -> None:
    """Serve until standard input ends."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=9876)
    arguments.add_argument("--auth", type=Identification, default=Identification.NONE)
    given = arguments.parse_args()

    async def until() -> None:
        print(f"http://127.0.0.1:{given.port}", flush=True)  # noqa: T201  # for whoever started it
        await asyncio.to_thread(sys.stdin.read)

    asyncio.run(_serve(world_on(given.port, given.auth), until))


if __name__ == "__main__":
    main()
