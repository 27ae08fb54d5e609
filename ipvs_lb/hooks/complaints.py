"""Calls that were given up: a hook's first is told at once, the next ones together after a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from ipvs_lb.events import Fact

PAUSE = 10.0
"""Seconds between two complaints about one hook: a dead receiver must not fill the event list."""

Tell = Callable[[str, Mapping[str, Fact]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A call that was given up after so many `attempts`, the last of which failed for `reason`.

    `calls` and `events` count those given up before it that have not been told.
    """

    service: str | None
    reason: str
    attempts: int
    events: int
    calls: int = 1

    def after(self, earlier: Complaint | None) -> Complaint:
        """This one, with *earlier* ones counted in."""
        if earlier is None:
            return self
        return replace(self, calls=self.calls + earlier.calls, events=self.events + earlier.events)


class Complaints:
    """Tells `hook.failed`."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._untold: dict[str, Complaint] = {}
        self._pauses: dict[str, asyncio.TimerHandle] = {}

    def add(self, hook: str, complaint: Complaint) -> None:
        """Tell of it, now or with others."""
        self._untold[hook] = complaint.after(self._untold.get(hook))
        if hook not in self._pauses:
            self._speak(hook)
            self._rest(hook)

    def close(self) -> None:
        """Tell the rest."""
        for pause in self._pauses.values():
            pause.cancel()
        self._pauses.clear()
        for hook in list(self._untold):
            self._speak(hook)

    def _rest(self, hook: str) -> None:
        loop = asyncio.get_running_loop()
        self._pauses[hook] = loop.call_later(PAUSE, self._resume, hook)

    def _resume(self, hook: str) -> None:
        del self._pauses[hook]
        if hook in self._untold:
            self._speak(hook)
            self._rest(hook)

    def _speak(self, hook: str) -> None:
        self._tell("hook.failed", {"hook": hook, **asdict(self._untold.pop(hook))})
