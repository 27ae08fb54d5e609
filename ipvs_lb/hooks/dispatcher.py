"""Events to the hooks that want them.

Rules kept here:
1. `told` only files the event: it neither waits nor raises.
2. For one hook and one service (or none) there is one lane: what comes while its call waits or runs goes together, in
   order, in the next one. There are never two calls of a lane at once.
3. Everything is bounded: events in a lane, calls of a hook at once, calls in all, attempts, the time to the end.
4. A call belongs to its hook's name: after a reload its next attempt is made as that hook is configured then.
5. Hooks are never told about hooks.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from itertools import count
from typing import assert_never
from uuid import uuid4

from ipvs_lb.events import Event
from ipvs_lb.hooks.calls import Call, Outcome
from ipvs_lb.hooks.complaints import Complaint, Complaints, Tell
from ipvs_lb.hooks.program import tell_program
from ipvs_lb.hooks.retry import pause
from ipvs_lb.hooks.webhook import tell_webhook
from ipvs_lb.model.hooks import Action, Exec, Hook, Webhook
from ipvs_lb.model.identity import ServiceKey, parse_service_key

MAX_WAITING = 100
"""Events that wait for one call; of more the oldest are dropped, and counted."""

MAX_CALLS = 16
"""Attempts under way at once."""

MAX_CALLS_OF_HOOK = 4
"""Those of one hook: a receiver that hangs does not hold up the others."""

_KILLING = 0.2  # seconds for what was cancelled to be gone

NameOf = Callable[[ServiceKey], str | None]
"""The configured name of a virtual service, if it has one."""

Send = Callable[[Action, Call], Awaitable[Outcome]]


async def send(action: Action, call: Call) -> Outcome:
    """One attempt to tell *call*."""
    match action:
        case Webhook():
            return await tell_webhook(action, call)
        case Exec():
            return await tell_program(action, call)
        case _:
            assert_never(action)


@dataclass(slots=True, kw_only=True, eq=False)
class _Lane:
    """What one hook is to be told about one service, or about none; `telling` events are in the call under way."""

    hook: str
    service: str | None
    service_name: str | None
    waiting: deque[Event] = field(default_factory=deque)
    dropped: int = 0
    telling: int = 0
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def add(self, event: Event) -> int:
        """How many older ones had to go for *event*."""
        lost = int(len(self.waiting) == MAX_WAITING)
        if lost:
            self.waiting.popleft()
            self.dropped += lost
        self.waiting.append(event)
        return lost

    def take(self, gateway: str) -> Call:
        """Everything that waits, as one call."""
        call = Call(
            hook=self.hook,
            gateway=gateway,
            delivery=str(uuid4()),
            service=self.service,
            service_name=self.service_name,
            events=tuple(self.waiting),
            dropped=self.dropped,
        )
        self.waiting.clear()
        self.dropped = 0
        return call


class Dispatcher:
    """Tells the hooks of the last `configure`; what it is told before the first waits for that.

    *tell* makes an event of a call that was given up; in *dropped* events are counted by hook for which there was no
    room.
    """

    def __init__(
        self,
        *,
        gateway: str,
        tell: Tell,
        dropped: MutableMapping[str, int],
        send: Send = send,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._gateway = gateway
        self._send = send
        self._dropped = dropped
        self._chance = chance
        self._complaints = Complaints(tell)
        self._hooks: dict[str, Hook] = {}
        self._name_of: NameOf = _nameless
        self._early: deque[Event] | None = deque(maxlen=MAX_WAITING)
        self._lanes: dict[tuple[str, str | None], _Lane] = {}
        self._all = asyncio.Semaphore(MAX_CALLS)
        self._own: dict[str, asyncio.Semaphore] = {}
        self._closing = False

    def configure(self, hooks: Iterable[Hook], name_of: NameOf) -> None:
        """From now on these are the hooks. Calls of those that are gone are given up, all others go on."""
        before, self._hooks = self._hooks, {hook.name: hook for hook in hooks}
        self._name_of = name_of
        self._own = {
            name: self._own.get(name) or asyncio.Semaphore(MAX_CALLS_OF_HOOK)
            for name in self._hooks
        }
        for lane in list(self._lanes.values()):
            now = self._hooks.get(lane.hook)
            if now is None:
                self._cancel(lane)
            elif now.action != before[lane.hook].action:
                lane.hurry.set()
        early, self._early = self._early, None
        for event in early or ():
            self.told(event)

    def told(self, event: Event) -> None:
        """File *event* for every hook that wants it."""
        if self._early is not None:
            self._early.append(event)
        elif self._hooks and not self._closing:
            service, name = self._subject(event)
            for hook in self._hooks.values():
                if hook.wants(event.name, event.level, name):
                    lost = self._lane(hook.name, service, name).add(event)
                    self._dropped[hook.name] = self._dropped.get(hook.name, 0) + lost

    def _subject(self, event: Event) -> tuple[str | None, str | None]:
        """The service that *event* is about, and its name."""
        service = event.facts.get("service")
        if not isinstance(service, str):
            return None, None
        try:
            return service, self._name_of(parse_service_key(service))
        except ValueError:
            return service, None

    def _lane(self, hook: str, service: str | None, name: str | None) -> _Lane:
        key = (hook, service)
        if key not in self._lanes:
            lane = _Lane(hook=hook, service=service, service_name=name)
            self._lanes[key] = lane
            lane.task = asyncio.get_running_loop().create_task(
                self._follow(lane), name=f"hook {hook} {service}"
            )
            lane.task.add_done_callback(lambda task: self._ended(lane, task))
        return self._lanes[key]

    async def _follow(self, lane: _Lane) -> None:
        """Tell what waits in *lane* until nothing does."""
        while lane.waiting:
            await self._wait(lane, self._hooks[lane.hook].window)
            call = lane.take(self._gateway)
            lane.telling = len(call.events)
            await self._deliver(lane, call)
            lane.telling = 0
        del self._lanes[lane.hook, lane.service]

    async def _wait(self, lane: _Lane, seconds: float) -> None:
        if self._closing:
            return
        lane.hurry.clear()
        try:
            async with asyncio.timeout(seconds):
                await lane.hurry.wait()
        except TimeoutError:
            return

    async def _deliver(self, lane: _Lane, call: Call) -> None:
        for attempt in count(1):
            async with self._own[lane.hook], self._all:
                outcome = await self._send(self._hooks[lane.hook].action, call)
            if outcome.delivered:
                return
            if self._closing or not outcome.again or attempt >= self._attempts(lane):
                self._complain(lane, outcome.reason, attempt, lane.telling)
                return
            await self._wait(lane, pause(attempt, self._chance(), outcome.wait))

    def _attempts(self, lane: _Lane) -> int:
        action = self._hooks[lane.hook].action
        return action.attempts if isinstance(action, Webhook) else 1

    def _complain(self, lane: _Lane, reason: str, attempts: int, events: int) -> None:
        self._complaints.add(
            lane.hook,
            Complaint(service=lane.service, reason=reason, attempts=attempts, events=events),
        )

    def _cancel(self, lane: _Lane) -> None:
        del self._lanes[lane.hook, lane.service]
        if lane.task is not None:
            lane.task.cancel()

    def _ended(self, lane: _Lane, task: asyncio.Task[None]) -> None:
        """A task that ended by itself has removed its lane; one with a bug has not."""
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            self._lanes.pop((lane.hook, lane.service), None)
            self._complain(lane, f"a bug: {_where(bug)}", 1, lane.telling + len(lane.waiting))

    async def close(self, grace: float) -> None:
        """Tell what waits at once, one attempt each; give up what is not over after *grace* seconds."""
        self._closing = True
        for lane in self._lanes.values():
            lane.hurry.set()
        tasks = {lane.task for lane in self._lanes.values() if lane.task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for lane in list(self._lanes.values()):
            events = lane.telling + len(lane.waiting)
            self._complain(lane, "the daemon ended before the call was over", 1, events)
            self._cancel(lane)
        late = {task for task in tasks if not task.done()}
        if late:
            await asyncio.wait(late, timeout=_KILLING)
        self._complaints.close()


def _nameless(_: ServiceKey) -> None:
    return None


def _where(bug: BaseException) -> str:
    """The kind of the error and the line it comes from; not its words, which may hold anything."""
    frame = traceback.extract_tb(bug.__traceback__)[-1]
    return f"{type(bug).__name__} ({frame.filename}:{frame.lineno})"
