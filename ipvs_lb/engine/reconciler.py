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
from ipvs_lb.engine import heap
from ipvs_lb.engine.aside import Aside
from ipvs_lb.engine.court import Court, withdrawn
from ipvs_lb.engine.guard import Guard
from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.engine.news import Story
from ipvs_lb.engine.parts import Parts
from ipvs_lb.engine.roster import Turn
from ipvs_lb.engine.surroundings import Surroundings
from ipvs_lb.engine.tally import Tally
from ipvs_lb.errors import (
    HostError,
    KernelError,
    LBError,
    RefusedError,
    StoreError,
)
from ipvs_lb.events import Fact, Level
from ipvs_lb.model.config import Config, Drift
from ipvs_lb.model.desired import (
    Desired,
    GenerationSummary,
    Owned,
    PlacedVip,
    SysctlNeed,
    owned_by,
)
from ipvs_lb.model.host import AddAddress, HostCommand, HostState, Vip
from ipvs_lb.model.identity import AddressKey, IPAddress, ServiceKey
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.plan import opened, plan
from ipvs_lb.policy import VipRuling

T = TypeVar("T")

_SLICE = 25  # services decided between two turns of the event loop
_DRAIN_POLL = 1.0  # seconds between two looks at the connections of draining servers
_BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds to wait for a kernel that does not answer
_SHOWN = 5  # commands named in an event


class Reconciler:
    """Decides by *court* and keeps *mirror*'s kernel so; *tell* makes events of what happens.

    `reconciled`: when everything was last found or made right (Unix seconds). `drifted` counts the repairs of what
    others changed. `vips` are those that are up. `comparisons`: seconds that those took which succeeded;
    `kernel_failures` and `host_failures` count the others, and what else failed.
    """

    def __init__(
        self, parts: Parts, court: Court, mirror: Mirror, tell: Callable[[Story], None]
    ) -> None:
        self.reconciled: float | None = None
        self.drifted = 0
        self.comparisons = Tally()
        self.kernel_failures = self.host_failures = 0
        self.generation: GenerationSummary | None = None
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
        self._reported: tuple[Command, ...] = ()
        self._missing: tuple[SysctlNeed, ...] = ()
        self._recorded = self._is_fresh = False
        self._asked: list[asyncio.Future[None]] = []
        self._kernel_trouble = self._host_trouble = ""
        self._guard = Guard(self._change_host, self._tell)
        self.surroundings = Surroundings(parts.host.changes, self.look_around, self._announce_again)

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
        self._recorded = False
        self.look_around()

    def in_force(self) -> asyncio.Future[None]:
        """Done when all that was touched before is in the kernel; or it has the error that hinders that."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
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
        places = [
            vip.place for vip in self.vips if vip.announce and vip.place.interface in interfaces
        ]
        if not places:
            return
        try:
            await self._aside(self._parts.host.announce, places)
        except HostError as error:
            self._host_failed(error)

    async def follow(self) -> None:
        """Bring in force whatever changes, until cancelled."""
        while True:
            await self._sleep()
            self._wake.clear()
            asked, self._asked = self._asked, []
            try:
                trouble = await self._bring_in_force()
            except BaseException:
                self._asked = asked + self._asked
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
            self._asked = asked + self._asked
            self._wake.set()
            return
        for one in asked:
            if one.done():
                continue
            if trouble is None:
                one.set_result(None)
            else:
                one.set_exception(trouble)

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
        await self._forget_clients(opened(commands, after))

    async def _forget_clients(self, services: Mapping[AddressKey, Set[IPAddress]]) -> None:
        """Clients that asked before their service was there find it from now on."""
        if not services:
            return
        shown = ", ".join(map(str, list(services)[:_SHOWN]))
        try:
            forgotten = await self._aside(self._parts.host.forget_clients, services)
        except HostError as error:
            facts: dict[str, Fact] = {"services": shown, "reason": str(error), "hint": error.hint}
            self._tell(Story("clients.kept", Level.WARNING, facts))
            return
        if forgotten:
            self._tell(
                Story("clients.forgotten", Level.INFO, {"services": shown, "clients": forgotten})
            )

    def lost(self, error: KernelError) -> None:
        """The kernel refused or did not answer: try again later, and tell each reason once."""
        self._settled = False
        self.kernel_failures += 1
        pause = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        self._whole_due = self._parts.clock() + pause
        if str(error) != self._kernel_trouble:
            self._kernel_trouble = str(error)
            facts: dict[str, Fact] = {"reason": str(error), "hint": error.hint, "retry_in": pause}
            self._tell(Story("kernel.failed", Level.ERROR, facts))

    def _host_failed(self, error: HostError | StoreError) -> None:
        """Something beside the table could not be read or done: tell each reason once."""
        self.host_failures += 1
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
        began = self._parts.clock()
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
        self.comparisons.add(self.reconciled - began)
        return None

    async def _reconcile(self, config: Config) -> None:
        roster, store = self._court.roster, self._parts.store
        self._written.clear()
        owned = await self._meanwhile(self._aside(store.owned))
        table, rulings = self._court.table(), dict(self._court.vips)
        desired, state, homeless = await self._meanwhile(
            self._aside(self._desired, config, owned, table, rulings)
        )
        actual = await self._meanwhile(self._mirror.read())
        if self._written and self._mirror.services is None:
            await self._reconcile(config)  # a write failed meanwhile: nobody knows how far it came
            return
        actual, desired = self._with_written(actual, desired)
        wanted = owned_by(desired)
        if owned | wanted != owned:
            await self._aside(store.claim, owned | wanted)
        desired, unable = await self._guard.restrict(desired, state.firewall, settled=self._settled)
        ours = _part_of(actual, owned | wanted)
        commands = await self._aside(plan, ours, desired.table)
        if self._is_drift(commands) and self._is_left_alone(commands, config):
            _raise(unable)
            return
        before, after = hostplan.host_plan(state, desired, owned)
        self._mirror.services = dict(ours.services)
        refused = await self._write_all(commands, desired)
        self.vips = desired.vips
        trouble = await self._change_host((*before, *after), homeless)
        if refused is not None:
            raise refused
        released = await self._guard.release()
        self._tell_missing(hostplan.missing_sysctls(state, desired))
        is_current = self._court.roster is roster
        self._settled |= is_current
        _raise(unable, trouble, released)
        if is_current:
            await self._meanwhile(self._record(desired, owned | wanted))

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

    async def _change_host(
        self, steps: Sequence[HostCommand], homeless: Sequence[Vip] = ()
    ) -> HostError | None:
        """Carry out *steps*; what of them, or which VIP, had to be left."""
        left = [
            f"VIP {vip.address} is nowhere: there is no interface {vip.interface}"
            for vip in homeless
        ]
        hint = "ip link" if left else None
        for step in steps:
            try:
                await self._aside(self._parts.host.execute, step)
            except HostError as error:
                left.append(str(error))
                hint = hint or error.hint
                continue
            self._tell(Story("host.changed", Level.INFO, {"what": str(step)}))
        added = [step for step in steps if isinstance(step, AddAddress) and step.announce]
        self.surroundings.announced({step.place.interface for step in added})
        return HostError("; ".join(left[:_SHOWN]), hint=hint) if left else None

    def _is_drift(self, commands: Sequence[Command]) -> bool:
        """Whether others made *commands* necessary."""
        return bool(commands) and self._settled and not self._guard.is_news

    def _is_left_alone(self, commands: Sequence[Command], config: Config) -> bool:
        """Others changed what is ours: say so, and whether that stays."""
        left_alone = config.daemon.drift is Drift.REPORT
        if not left_alone or commands != self._reported:
            self.drifted += 1
            facts: dict[str, Fact] = {
                "commands": len(commands),
                "first": "; ".join(map(str, commands[:_SHOWN])),
                "after": self.reconciled,
                "before": self._parts.clock(),
            }
            name = "drift.reported" if left_alone else "drift.repaired"
            self._tell(Story(name, Level.WARNING, facts))
        self._reported = tuple(commands)
        return left_alone

    def _desired(
        self, config: Config, owned: Owned, table: Table, rulings: Mapping[IPAddress, VipRuling]
    ) -> tuple[Desired, HostState, Sequence[Vip]]:
        """Everything that is to be in force, the host as it is, and the VIPs that have no place on it.

        Runs beside the event loop.
        """
        state = self._parts.host.read(hostplan.SYSCTLS)
        rules = hostplan.firewall(config, table, state)
        vips = [vip for service in config.services for vip in service.vips]
        homeless = hostplan.homeless(vips, state)
        vips = [vip for vip in vips if vip not in homeless] if homeless else vips
        names = hostplan.answer_sysctls(config, state)
        if names:
            asked = self._parts.host.read(names, links=False, firewall=False)
            state = replace(state, sysctls={**state.sysctls, **asked.sysctls})
        if table.daemons is None and owned.daemons:
            table = replace(table, daemons={})
        placed = hostplan.place(vips, state)
        desired = Desired(
            table,
            placed,
            rules,
            hostplan.sysctl_needs(config, table, rules.source_nat)
            + hostplan.reuse_needs(table, rules.source_nat, state)
            + hostplan.answer_needs(config, placed, state),
            config.manage_sysctls,
            hostplan.unmanaged(vips),
        )
        present = {place.address for place in state.addresses}
        return withdrawn(desired, rulings, present), state, homeless

    async def _record(self, desired: Desired, claimed: Owned) -> None:
        """A configuration that is in force for the first time makes a generation."""
        store = self._parts.store
        if self._recorded:
            if claimed != owned_by(desired):
                await self._aside(store.claim, owned_by(desired))
            if self._is_fresh:  # the first results are in by now, and with them many new decisions
                self._is_fresh = False
                heap.settle()
            return
        now, services = (
            self._parts.clock(),
            self._court.roster.datapath.without(desired.table.services),
        )
        declared = replace(desired, table=replace(desired.table, services=services))
        self.generation = await self._aside(
            lambda: store.commit(declared, origin=self._parts.origin, now=now)
        )
        if declared != desired:
            await self._aside(store.claim, owned_by(desired))
        self._recorded = self._is_fresh = True
        heap.settle()

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

    def _tell_missing(self, missing: tuple[SysctlNeed, ...]) -> None:
        """Each sysctl that only the operator can set is told once, and again when it was right in between."""
        for need in missing:
            if need not in self._missing:
                facts = {"sysctl": f"{need.name}={need.value}", "reason": need.reason}
                self._tell(Story("sysctl.missing", Level.WARNING, facts))
        self._missing = missing


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
