"""Work that is meant to go on for ever: a crash is told, and it is begun again after a pause."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterator

Work = Callable[[], Awaitable[None]]
Crashed = Callable[[str, str, float], None]
"""Told the name of the work, what happened in one line, and the seconds until it is begun again."""

_LONGEST = 60.0


def doubling() -> Iterator[float]:
    """Pauses of 1, 2, 4 ... 60 seconds."""
    pause = 1.0
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST)


async def forever(name: str, work: Work, crashed: Crashed) -> None:
    """Do *work* again and again until cancelled; that it returns is a fault like any other."""
    for pause in doubling():
        try:
            await work()
            crashed(name, "it returned", pause)
        except Exception as error:  # noqa: BLE001  # the one broad except: one crash must not stop the balancer
            crashed(name, _where(error), pause)
        await asyncio.sleep(pause)


def _where(error: Exception) -> str:
    """The error with the last line of ours that it passed."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
