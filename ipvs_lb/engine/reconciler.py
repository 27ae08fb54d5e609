"""The one task that writes to the kernel: what is decided, the difference to it, and the whole from time to time.

Rules kept here:
1. A deciding result is in force at once, through the services it is about; every `reconcile_interval`, and after any
   trouble, the whole table is read, compared and repaired.
2. What will be ours is written down before the kernel is touched.
3. While the kernel does not answer, deciding goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence, Set
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
from ipvs_lb.engine.tally import Tally
from ipvs_lb.engine.troubles import Troubles
from ipvs_lb.engine.wanted import wanted
from ipvs_lb.engine.writer import Writer
from ipvs_lb.errors import HostError, KernelError, LBError, RefusedError, StoreError
from ipvs_lb.model.config import Config
from ipvs_lb.model.desired import Desired, GenerationSummary, Owned, PlacedVip, owned_by
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Table
from ipvs_lb.plan import plan

T = TypeVar("T")


class Reconciler:
    """Decides by *court* and keeps *mirror*'s kernel so; *tell* makes events of what happens.

    `reconciled`: when everything was last found or made right (Unix seconds). `vips` are those that are up.
    """

    def __init__(
        self, parts: Parts, court: Court, mirror: Mirror, tell: Callable[[Story], None]
    ) -> None:
        self.reconciled: float | None = None
        self.comparisons = Tally()
        self.vips: tuple[PlacedVip, ...] = ()
        self.begun = asyncio.Event()
        self._parts = parts
        self._court = court
        self._mirror = mirror
        self._aside = Aside(parts.threads)
        self._wake = asyncio.Event()
        self._whole_due = 0.0
        self._askers = Askers()
        self._interference = Interference(tell)
        self._ledger = Ledger(parts, self._aside)
        self._troubles = Troubles(tell)
        self.surroundings = Surroundings(parts.host.changes, self.look_around, self._announce_again)
        self._hostwork = HostWork(parts.host, self._aside, tell, self.surroundings.announced)
        self._guard = Guard(self._hostwork.change, tell)
        self._writer = Writer(
            court,
            mirror,
            self._guard,
            self._hostwork,
            tell,
            need_whole=self.need_whole,
            lost=self.lost,
        )

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
        self._writer.touch(keys)
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
            self._writer.settled
            and present is not None
            and bool(turn.changed)
            and not turn.gone
            and all(key in present for key in turn.changed)
            and not turn.reaches_host
        )

    def need_whole(self) -> None:
        """Have everything compared before anything is written again."""
        self._writer.settled = False
        self._whole_due = 0.0
        self._wake.set()

    def look_around(self) -> None:
        """Have everything compared now; what is in force stays so meanwhile."""
        if not self._troubles.failures:
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
        await self._writer.decide(now)
        if now >= self._whole_due:
            return await self._whole()
        return (
            None
            if self._writer.settled
            else KernelError(self._troubles.kernel or "not settled yet")
        )

    def _answer(self, asked: list[asyncio.Future[None]], trouble: LBError | None) -> None:
        """Tell those who wait for what they declared; where it has been overtaken, they wait for the next round."""
        if trouble is None and not self._writer.settled:
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

    @property
    def failures(self) -> tuple[int, int]:
        """How often the kernel, and what is around it, failed since the start."""
        return self._troubles.kernel_failures, self._troubles.host_failures

    def lost(self, error: KernelError) -> None:
        """The kernel refused or did not answer: try again later, and tell each reason once."""
        self._writer.settled = False
        self._whole_due = self._parts.clock() + self._troubles.lost(error)

    def _host_failed(self, error: HostError | StoreError) -> None:
        self._troubles.host_failed(error)

    async def _whole(self) -> LBError | None:
        """Read, compare and repair everything; what went wrong."""
        config = self._court.roster.config
        self._whole_due = self._parts.clock() + config.daemon.reconcile_interval
        try:
            return await self._compare(config)
        finally:
            self.begun.set()

    async def _compare(self, config: Config) -> LBError | None:
        began = self._parts.clock()
        try:
            await self._reconcile(config)
        except KernelError as error:
            self.lost(error)
            return error
        except (HostError, StoreError) as error:
            self._host_failed(error)
            return error
        self._troubles.are_over()
        self.reconciled = self._parts.clock()
        self.comparisons.add(self.reconciled - began)
        return None

    async def _reconcile(self, config: Config) -> None:
        roster, store = self._court.roster, self._parts.store
        self._writer.begin()
        owned = await self._meanwhile(self._aside(store.owned))
        table, rulings = self._court.table(), dict(self._court.vips)
        desired, state, homeless = await self._meanwhile(
            self._aside(wanted, self._parts.host, config, owned, table, rulings)
        )
        actual = await self._meanwhile(self._mirror.read())
        if self._writer.is_lost:
            await self._reconcile(config)
            return
        actual, desired = self._writer.with_written(actual, desired)
        claimed = owned | owned_by(desired)
        if claimed != owned:
            await self._aside(store.claim, claimed)
        desired, unable = await self._guard.restrict(
            desired, state.firewall, settled=self._writer.settled
        )
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
        self._writer.settled |= is_current
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
                if self._writer.settled:
                    await self._writer.decide(self._parts.clock())
        finally:
            running.cancel()
            self._wake.set()
        return await running

    async def _write_all(
        self, commands: Sequence[Command], desired: Desired
    ) -> RefusedError | None:
        """Bring the whole table in force; what was refused keeps back nothing else. Raises KernelError."""
        try:
            if commands:
                await self._writer.put(commands, desired.table.services)
        except RefusedError as refused:
            return refused
        self._mirror.services = dict(desired.table.services)
        return None

    def _is_drift(self, commands: Sequence[Command]) -> bool:
        """Whether others made *commands* necessary."""
        return bool(commands) and self._writer.settled and not self._guard.is_news


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
