"""The one task that writes to the kernel: what is decided, the difference to it, and the whole from time to time.

Rules kept here:
1. A deciding result is in force at once, through the services it is about; every `reconcile_interval`, and after any
   trouble, the whole table is read, compared and repaired.
2. What will be ours is written down before the kernel is touched.
3. While the kernel does not answer, deciding goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TypeVar

from ipvs_lb import hostplan
from ipvs_lb.commands import Command
from ipvs_lb.engine.aside import Aside
from ipvs_lb.engine.askers import Askers, answer
from ipvs_lb.engine.court import Court
from ipvs_lb.engine.guard import Guard
from ipvs_lb.engine.hostwork import HostWork
from ipvs_lb.engine.interference import Interference
from ipvs_lb.engine.ledger import Ledger
from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.engine.news import Story
from ipvs_lb.engine.parts import Parts
from ipvs_lb.engine.roster import Turn
from ipvs_lb.engine.surroundings import Surroundings
from ipvs_lb.engine.wanted import wanted
from ipvs_lb.errors import (
    HostError,
    KernelError,
    LBError,
    RefusedError,
    StoreError,
)
from ipvs_lb.events import Fact, Level
from ipvs_lb.model.config import Config
from ipvs_lb.model.desired import (
    Desired,
    GenerationSummary,
    Owned,
    PlacedVip,
    owned_by,
)
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.plan import opened, plan

T = TypeVar("T")

_SLICE = 25  # services decided between two turns of the event loop
_DRAIN_POLL = 1.0  # seconds between two looks at the connections of draining servers
_BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds to wait for a kernel that does not answer
_SHOWN = 5  # commands named in an event


class Reconciler:
    """Decides by *court* and keeps *mirror*'s kernel so; *tell* makes events of what happens.

    `reconciled`: when everything was last found or made right (Unix seconds). `vips` are those that are up.
    """

    def __init__(
        self, parts: Parts, court: Court, mirror: Mirror, tell: Callable[[Story], None]
    ) -> None:
        self.reconciled: float | None = None
        self.vips: tuple[PlacedVip, ...] = ()
        self.begun = asyncio.Event()
        self._parts = parts
        self._court = court
        self._mirror = mirror
        self._tell = tell
        self._aside = Aside(parts.threads)
        self._dirty: set[ServiceKey] = set()
        self._written: set[ServiceKey] = set()
        self._wake = asyncio.Event()
        self._whole_due = 0.0
        self._settled = False
        self._failures = 0
        self._askers = Askers()
        self._interference = Interference(tell)
        self._ledger = Ledger(parts, self._aside)
        self._kernel_trouble = self._host_trouble = ""
        self.surroundings = Surroundings(parts.host.changes, self.look_around, self._announce_again)
        self._hostwork = HostWork(parts.host, self._aside, tell, self.surroundings.announced)
        self._guard = Guard(self._hostwork.change, tell)

    @property
    def drifted(self) -> int:
        """How often something was found that others had changed."""
        return self._interference.count

    @property
    def generation(self) -> GenerationSummary | None:
        """The one made last."""
        return self._ledger.newest

    # what there is to do

    def touch(self, keys: Iterable[ServiceKey]) -> None:
        """Decide on *keys* again, soon."""
        self._dirty.update(keys)
        self._wake.set()

    def turn(self, turn: Turn) -> None:
        """Bring *turn*, by which the court decides from now on, in force."""
        self.touch(turn.changed)
        if not self._needs_nothing_else(turn):
            self.need_whole()

    def record(self) -> None:
        """What is declared now makes a generation, once everything has been compared."""
        self._ledger.open()
        self.look_around()

    def in_force(self) -> asyncio.Future[None]:
        """Done when all that was touched before is in the kernel; or it has the error that hinders that."""
        asked = self._askers.ask()
        self._wake.set()
        return asked

    def _needs_nothing_else(self, turn: Turn) -> bool:
        """Whether writing the virtual services that changed brings *turn* in force, addresses and rules being as they are."""
        present = self._mirror.services
        return (
            self._settled
            and present is not None
            and bool(turn.changed)
            and not turn.gone
            and all(key in present for key in turn.changed)
            and not turn.reaches_host
        )

    def need_whole(self) -> None:
        """Have everything compared before anything is written again."""
        self._settled = False
        self._whole_due = 0.0
        self._wake.set()

    def look_around(self) -> None:
        """Have everything compared now; what is in force stays so meanwhile."""
        if not self._failures:
            self._whole_due = 0.0
            self._wake.set()

    async def _announce_again(self, interfaces: Set[str]) -> None:
        try:
            await self._hostwork.announce(self.vips, interfaces)
        except HostError as error:
            self._host_failed(error)

    async def follow(self) -> None:
        """Bring in force whatever changes, until cancelled."""
        while True:
            await self._sleep()
            self._wake.clear()
            asked = self._askers.take()
            try:
                trouble = await self._bring_in_force()
            except BaseException:
                self._askers.put_back(asked)
                raise
            self._answer(asked, trouble)

    async def _bring_in_force(self) -> LBError | None:
        """Decide and write what has changed, and compare everything when it is time; what went wrong."""
        now = self._parts.clock()
        await self._decide(now)
        if now >= self._whole_due:
            return await self._whole()
        return None if self._settled else KernelError(self._kernel_trouble or "not settled yet")

    def _answer(self, asked: list[asyncio.Future[None]], trouble: LBError | None) -> None:
        """Tell those who wait for what they declared; where it has been overtaken, they wait for the next round."""
        if trouble is None and not self._settled:
            self._askers.put_back(asked)
            self._wake.set()
            return
        answer(asked, trouble)

    async def _sleep(self) -> None:
        now = self._parts.clock()
        due = self._court.wake_at()
        until = self._whole_due if due is None else min(due, self._whole_due)
        if until <= now:
            return
        try:
            async with asyncio.timeout(until - now):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _decide(self, now: float) -> None:
        keys = list(self._dirty | self._court.due(now))
        self._dirty.clear()
        turned = self._court.turned
        for start in range(0, len(keys), _SLICE):
            part = keys[start : start + _SLICE]
            for story in self._court.decide(part, now):
                self._tell(story)
            if self._settled:
                await self._write(part)
            await asyncio.sleep(0)
        if self._court.turned != turned:
            self.need_whole()

    async def _write(self, keys: Iterable[ServiceKey]) -> None:
        """Bring *keys* in force, as the difference from what is known to be in the kernel."""
        known = self._mirror.services
        decided = self._court.services
        keys = [key for key in keys if key not in self._guard.withheld]
        if known is None or any(key not in known for key in keys):
            self.need_whole()
            return
        after = {key: decided[key].virtual for key in keys if key in decided}
        before = {key: known[key] for key in after}
        commands = plan(Table(before), Table(after))
        if commands:
            self._written.update(after)
            await self._try_to_write(commands, after)

    async def _try_to_write(
        self, commands: Sequence[Command], after: Mapping[ServiceKey, VirtualService]
    ) -> None:
        try:
            await self._put(commands, after)
        except KernelError as error:
            self.lost(error)

    async def _put(
        self, commands: Sequence[Command], after: Mapping[ServiceKey, VirtualService]
    ) -> None:
        """Raises KernelError."""
        await self._mirror.write(commands, after)
        shown = "; ".join(map(str, commands[:_SHOWN]))
        self._tell(Story("plan.applied", Level.INFO, {"commands": len(commands), "first": shown}))
        await self._hostwork.forget_clients(opened(commands, after))

    def lost(self, error: KernelError) -> None:
        """The kernel refused or did not answer: try again later, and tell each reason once."""
        self._settled = False
        pause = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        self._whole_due = self._parts.clock() + pause
        if str(error) != self._kernel_trouble:
            self._kernel_trouble = str(error)
            facts: dict[str, Fact] = {"reason": str(error), "hint": error.hint, "retry_in": pause}
            self._tell(Story("kernel.failed", Level.ERROR, facts))

    def _host_failed(self, error: HostError | StoreError) -> None:
        """Something beside the table could not be read or done: tell each reason once."""
        if str(error) != self._host_trouble:
            self._host_trouble = str(error)
            facts: dict[str, Fact] = {"reason": str(error), "hint": error.hint}
            self._tell(Story("host.failed", Level.ERROR, facts))

    async def _whole(self) -> LBError | None:
        """Read, compare and repair everything; what went wrong."""
        config = self._court.roster.config
        self._whole_due = self._parts.clock() + config.daemon.reconcile_interval
        try:
            return await self._compare(config)
        finally:
            self.begun.set()

    async def _compare(self, config: Config) -> LBError | None:
        try:
            await self._reconcile(config)
        except KernelError as error:
            self.lost(error)
            return error
        except (HostError, StoreError) as error:
            self._host_failed(error)
            return error
        if self._host_trouble:
            self._tell(Story("host.recovered", Level.INFO, {"reason": self._host_trouble}))
        if self._failures:
            self._tell(Story("kernel.recovered", Level.INFO, {"failures": self._failures}))
        self._failures = 0
        self._kernel_trouble = self._host_trouble = ""
        self.reconciled = self._parts.clock()
        return None

    async def _reconcile(self, config: Config) -> None:
        roster, store = self._court.roster, self._parts.store
        self._written.clear()
        owned = await self._meanwhile(self._aside(store.owned))
        table, rulings = self._court.table(), dict(self._court.vips)
        desired, state, homeless = await self._meanwhile(
            self._aside(wanted, self._parts.host, config, owned, table, rulings)
        )
        actual = await self._meanwhile(self._mirror.read())
        if self._written and self._mirror.services is None:
            await self._reconcile(config)  # a write failed meanwhile: nobody knows how far it came
            return
        actual, desired = self._with_written(actual, desired)
        claimed = owned | owned_by(desired)
        if claimed != owned:
            await self._aside(store.claim, claimed)
        desired, unable = await self._guard.restrict(desired, state.firewall, settled=self._settled)
        ours = _part_of(actual, claimed)
        commands = await self._aside(plan, ours, desired.table)
        if self._is_drift(commands) and self._interference.is_left_alone(
            commands, config.daemon.drift, after=self.reconciled, now=self._parts.clock()
        ):
            _raise(unable)
            return
        before, after = hostplan.host_plan(state, desired, owned)
        self._mirror.services = dict(ours.services)
        refused = await self._write_all(commands, desired)
        self.vips = desired.vips
        trouble = await self._hostwork.change((*before, *after), homeless)
        if refused is not None:
            raise refused
        released = await self._guard.release()
        self._hostwork.tell_missing(hostplan.missing_sysctls(state, desired))
        is_current = self._court.roster is roster
        self._settled |= is_current
        _raise(unable, trouble, released)
        if is_current:
            await self._meanwhile(self._ledger.record(desired, claimed, roster.datapath))

    async def _meanwhile(self, work: Coroutine[None, None, T]) -> T:
        """The result of *work*; as long as it takes, results that decide are in force at once all the same."""
        running = asyncio.get_running_loop().create_task(work, name="reconciler's work")
        running.add_done_callback(lambda _: self._wake.set())
        try:
            while not running.done():
                await self._wake.wait()
                self._wake.clear()
                if self._settled:
                    await self._decide(self._parts.clock())
        finally:
            running.cancel()
            self._wake.set()
        return await running

    def _with_written(self, actual: Table, desired: Desired) -> tuple[Table, Desired]:
        """Both with what was written while they were made: of that they may know nothing, or a part."""
        decided, known = self._court.services, self._mirror.services or {}
        keys = [key for key in self._written if key in decided and key in known]
        if not keys:
            return actual, desired
        present = {**actual.services, **{key: known[key] for key in keys}}
        wanted = {**desired.table.services, **{key: decided[key].virtual for key in keys}}
        table = replace(desired.table, services=wanted)
        return replace(actual, services=present), replace(desired, table=table)

    async def _write_all(
        self, commands: Sequence[Command], desired: Desired
    ) -> RefusedError | None:
        """Bring the whole table in force; what was refused keeps back nothing else. Raises KernelError."""
        try:
            if commands:
                await self._put(commands, desired.table.services)
        except RefusedError as refused:
            return refused
        self._mirror.services = dict(desired.table.services)
        return None

    def _is_drift(self, commands: Sequence[Command]) -> bool:
        """Whether others made *commands* necessary."""
        return bool(commands) and self._settled and not self._guard.is_news

    async def watch_drains(self) -> None:
        """Look at the connections of draining servers as long as there are any, until cancelled."""
        while True:
            await asyncio.sleep(_DRAIN_POLL)
            present, waiting = self._mirror.services, self._court.draining()
            if present is None or not waiting:
                continue
            present = {key: present[key] for key in waiting if key in present}
            try:
                counted = await self._mirror.statistics(present.keys())
            except KernelError as error:
                self.lost(error)
                continue
            self.touch(self._court.count(counted, present))


def _part_of(actual: Table, ours: Owned) -> Table:
    services = {key: value for key, value in actual.services.items() if key in ours.services}
    present = actual.daemons or {}
    return Table(
        services,
        actual.timeouts,
        {role: daemon for role, daemon in present.items() if role in ours.daemons},
    )


def _raise(*troubles: HostError | None) -> None:
    """Raises HostError with all there is, if there is any."""
    told = [trouble for trouble in troubles if trouble is not None]
    if told:
        hints = [trouble.hint for trouble in told if trouble.hint]
        raise HostError("; ".join(map(str, told)), hint=next(iter(hints), None))
