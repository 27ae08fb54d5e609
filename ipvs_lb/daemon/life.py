"""`ipvs-lb run`, from the lock on the state directory to the last record.

SIGHUP reloads, and so does a change of the configuration's files where it asks for that. SIGTERM and SIGINT stop, and
leave the table forwarding. The service manager is told of every reload, the API's too.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipvs_lb.daemon.hooks import hooked
from ipvs_lb.daemon.logs import logger
from ipvs_lb.daemon.notify import Manager
from ipvs_lb.daemon.rest import keep, keep_settled, prepare
from ipvs_lb.daemon.watch import Source, follow
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.engine.parts import Parts
from ipvs_lb.errors import LBError
from ipvs_lb.model.api import Face
from ipvs_lb.model.config import Config

if TYPE_CHECKING:
    from ipvs_lb.api.openings import Openings
    from ipvs_lb.config import Loader
    from ipvs_lb.config.documents import Seen


_LAST_CHANGES = 0.3
"""Seconds for what clients of the compatible API have just asked for."""


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

    prepare()
    with locked(settings.state_dir, wait=0):
        asyncio.run(_live(settings))


async def _live(settings: Settings) -> None:
    from ipvs_lb.api.openings import Openings
    from ipvs_lb.api.server import serving
    from ipvs_lb.api.traffic import Traffic
    from ipvs_lb.config import Loader
    from ipvs_lb.daemon.metrics import counting
    from ipvs_lb.daemon.octavia import Compatible
    from ipvs_lb.metrics.counts import Counts
    from ipvs_lb.web import StatusPage
    from ipvs_lb.wiring import open_daemon

    manager, openings = Manager(), Openings(settings.socket_group)
    source = Source(partial(_load, Loader(settings.config), openings))
    origin = str(settings.config.absolute())
    with open_daemon(source.load, origin, settings.state_dir) as parts:
        compatible = Compatible(parts)
        balancer = Balancer(replace(parts, during_reload=manager.reload, groups=compatible.groups))
        balancer.subscribe(logger())
        traffic, counts = Traffic(), Counts()
        metrics = counting(balancer, traffic, counts)
        compatible.follow(balancer)
        reload = partial(_reload, balancer)
        reloads: set[asyncio.Task[None]] = set()
        stop = _on_signals(reload, reloads)
        group = settings.socket_group
        async with (
            hooked(balancer, counts.hook_drops),
            serving(
                balancer,
                settings.socket,
                group=group,
                openings=openings,
                faces={Face.OCTAVIA: compatible.app, Face.METRICS: metrics.app()},
                more=[metrics.route],
                traffic=traffic,
                page=StatusPage(balancer),
            ),
        ):
            compatible.begin()
            tasks = (
                asyncio.create_task(balancer.run(), name="balancer"),
                asyncio.create_task(manager.watch(), name="watchdog"),
                asyncio.create_task(keep_settled(balancer), name="memory"),
                asyncio.create_task(follow(source, reload, parts.threads), name="files"),
            )
            ready = asyncio.create_task(_tell_ready(balancer, manager), name="ready")
            stopped = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait((stopped, *tasks), return_when=asyncio.FIRST_COMPLETED)
            manager.stopping()
            await compatible.finish(_LAST_CHANGES)
            await end(stopped, ready, *reloads, *tasks)
        if settings.flush_on_stop:
            await asyncio.to_thread(_flush, parts)


def _load(loader: Loader, openings: Openings, seen: Seen) -> Config:
    """The configuration, once everything is ready for the listeners it asks for. Raises ConfigError."""
    config = loader.load(seen)
    keep()
    for listener in config.listeners:
        for file in listener.files:
            seen(Path(file))
    openings.prepare(config.listeners)
    return config


async def _tell_ready(balancer: Balancer, manager: Manager) -> None:
    """The service manager goes on once the kernel has been compared for the first time."""
    await balancer.begun()
    manager.ready()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel *tasks* and wait for all of them; then raise what the first of them that failed has raised."""
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


def _on_signals(
    reload: Callable[[], Coroutine[None, None, None]], reloads: set[asyncio.Task[None]]
) -> asyncio.Event:
    """*reload* on SIGHUP, in *reloads* while it lasts; the event is set by SIGTERM and SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def begin() -> None:
        task = loop.create_task(reload(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _reload(balancer: Balancer) -> None:
    """A refused configuration has been told as an event; the old one goes on."""
    with contextlib.suppress(LBError):
        await balancer.reload()


def _flush(parts: Parts) -> None:
    """Take everything of ours out of the kernel and off the interfaces."""
    from ipvs_lb.engine.apply import carry_out, prepare

    kernel, host, store = parts.kernel, parts.host, parts.store
    change = prepare(Config(), kernel=kernel, host=host, store=store)
    now = time.time()
    carry_out(change, kernel=kernel, host=host, store=store, origin="flush-on-stop", now=now)
