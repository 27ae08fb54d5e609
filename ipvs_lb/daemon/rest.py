"""How a process that lives long keeps its memory, and its threads, out of the way of its event loop."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys

from ipvs_lb.engine.balancer import Balancer

_SWITCH = 0.001
"""Seconds after which a thread that computes lets the event loop in; Python's own 5 ms are long for a fail-over."""
_PAUSES = (2.0, 20.0)  # seconds after a configuration came into force
_ARENAS, _M_ARENA_MAX = 2, -8  # malloc.h


def prepare() -> None:
    """Before there are threads and objects: let no thread compute for long, and few have memory of their own."""
    sys.setswitchinterval(_SWITCH)
    _libc("mallopt", _M_ARENA_MAX, _ARENAS)


def keep() -> None:
    """What was just made, as a configuration is, will be kept: no collection walks it. This takes no time."""
    gc.freeze()


def settle_down() -> None:
    """What is alive now will stay so for long: no collection walks it any more, and free memory goes back.

    What is replaced later is freed all the same, unless it is in a cycle.
    """
    gc.collect()
    gc.freeze()
    _libc("malloc_trim", 0)


async def keep_settled(balancer: Balancer) -> None:
    """Settle down after the first configuration came into force and after every further one, until cancelled.

    That is done twice: a second time once the first results are in, which replace nearly every decision.
    """
    loaded = asyncio.Event()
    balancer.subscribe(lambda event: loaded.set() if event.name == "config.loaded" else None)
    await balancer.begun()
    while True:
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            await asyncio.to_thread(settle_down)
        await loaded.wait()
        loaded.clear()


def _libc(name: str, *arguments: int) -> None:
    """Call a function of the GNU C library; another one does without."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
