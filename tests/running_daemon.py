"""A real engine over fakes behind the real API server, on a loop, a clock and a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.identity import Port
from ipvs_lb.web import StatusPage
from tests.daemon_world import World
from tests.probes.servers import free_port

TOKEN = "a-token-of-some-length"
VIEWER = "another-one-to-look"
PATIENCE = 10.0


@dataclass
class Gateway:
    """A daemon that answers at *url* whoever has one of the tokens."""

    url: str
    world: World
    loop: asyncio.AbstractEventLoop
    problems: list[dict[str, Any]] = field(default_factory=list)

    def do(self, work: Callable[[World], Any]) -> Any:
        """Let *work* happen to the world, on its loop."""

        async def on_loop() -> Any:
            return work(self.world)

        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result(PATIENCE)


@contextmanager
def daemon(folder: Path, world: World) -> Iterator[Gateway]:
    """The daemon of *world*, until the end."""
    port, loop, stop = free_port(), asyncio.new_event_loop(), asyncio.Event()
    started = threading.Event()
    gateway = Gateway(f"http://127.0.0.1:{port}", world, loop)

    async def run() -> None:
        listener = ApiListener(
            address=ip_address("127.0.0.1"),
            port=Port(port),
            token=TOKEN,
            read_only_token=VIEWER,
        )
        openings = Openings()
        openings.prepare([listener])
        balancer = await gateway.world.up(0.2)
        page = StatusPage(balancer)
        async with serving(balancer, folder / "api.sock", openings=openings, page=page):
            started.set()
            await stop.wait()
        await gateway.world.down()

    loop.set_exception_handler(lambda _loop, context: gateway.problems.append(context))
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield gateway
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
