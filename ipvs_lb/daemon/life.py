"""`ipvs-lb run`, from the lock on the state directory to the last record.

SIGHUP reloads, and so does a change of the configuration's files where it asks for that. SIGTERM and SIGINT stop, and
leave the table forwarding.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ipvs_lb.daemon.logs import logger
from ipvs_lb.daemon.notify import Manager
from ipvs_lb.daemon.watch import Source, follow
from ipvs_lb.engine.balancer import Balancer, Parts
from ipvs_lb.errors import LBError
from ipvs_lb.model.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the daemon finds and leaves things, as the command line says."""

    config: Path
    state_dir: Path
    socket: Path
    socket_group: str | None = None
    flush_on_stop: bool = False


def run(settings: Settings) -> None:
    """Balance until told to stop.

    Raises LockedError when another ipvs-lb holds the state directory, ConfigError when there is no usable
    configuration to begin with, and LBError when the API cannot listen.
    """
    from ipvs_lb.store import locked

    with locked(settings.state_dir, wait=0):
        asyncio.run(_live(settings))


async def _live(settings: Settings) -> None:
    from ipvs_lb.api.server import serving
    from ipvs_lb.config import load
    from ipvs_lb.wiring import open_daemon

    manager = Manager()
    source = Source(lambda seen: load(settings.config, seen=seen))
    origin = str(settings.config.absolute())
    with open_daemon(source.load, origin, settings.state_dir) as parts:
        balancer = Balancer(parts)
        balancer.subscribe(logger())
        reload = partial(_reload, balancer, manager)
        stop = _on_signals(reload)
        await balancer.start()
        async with serving(balancer, settings.socket, group=settings.socket_group):
            tasks = (
                asyncio.create_task(balancer.run(), name="balancer"),
                asyncio.create_task(manager.watch(), name="watchdog"),
                asyncio.create_task(follow(source, reload, parts.threads), name="files"),
            )
            ready = asyncio.create_task(_tell_ready(balancer, manager), name="ready")
            await asyncio.wait(
                (asyncio.create_task(stop.wait(), name="stop"), *tasks),
                return_when=asyncio.FIRST_COMPLETED,
            )
            manager.stopping()
            await _end(ready, *tasks)
        if settings.flush_on_stop:
            await asyncio.to_thread(_flush, parts)


async def _tell_ready(balancer: Balancer, manager: Manager) -> None:
    """The service manager goes on once the kernel has been compared for the first time."""
    await balancer.begun()
    manager.ready("balancing")


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _on_signals(reload: Callable[[], Coroutine[None, None, None]]) -> asyncio.Event:
    """*reload* on SIGHUP; the event is set by SIGTERM and SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def begin() -> None:
        task = loop.create_task(reload(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _reload(balancer: Balancer, manager: Manager) -> None:
    """A refused configuration has been told as an event; the old one goes on."""
    manager.reloading()
    with contextlib.suppress(LBError):
        await balancer.reload()
    manager.ready("balancing")


def _flush(parts: Parts) -> None:
    """Take everything of ours out of the kernel and off the interfaces."""
    from ipvs_lb.engine.apply import carry_out, prepare

    kernel, host, store = parts.kernel, parts.host, parts.store
    change = prepare(Config(), kernel=kernel, host=host, store=store)
    now = time.time()
    carry_out(change, kernel=kernel, host=host, store=store, origin="flush-on-stop", now=now)
