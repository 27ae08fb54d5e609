"""The daemon's heart: brings the kernel to what policy decides, and keeps it there.

Rules kept here:
1. Probe results, orders, reloads and timers change inputs and wake one task, which alone writes to the kernel.
2. A deciding result is in force at once, through the services it is about; every `reconcile_interval`, and after any
   trouble, the whole table is read, compared and repaired.
3. What will be ours is written down before the kernel is touched.
4. A refused configuration leaves the old one in force. Stopping leaves the table forwarding.
5. While the kernel does not answer, probing and deciding go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence, Set
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from ipvs_lb import hostplan
from ipvs_lb.commands import Command
from ipvs_lb.engine import heap, records
from ipvs_lb.engine.control import Outcome, Snapshot
from ipvs_lb.engine.court import Court, withdrawn
from ipvs_lb.engine.detours import Detours
from ipvs_lb.engine.groups import Group, Groups
from ipvs_lb.engine.guard import Guard
from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.engine.monitors import Monitors
from ipvs_lb.engine.news import Story
from ipvs_lb.engine.notebook import Notebook
from ipvs_lb.engine.roster import Roster, Turn, lay_out, lay_out_after
from ipvs_lb.engine.supervision import forever
from ipvs_lb.engine.surroundings import Surroundings
from ipvs_lb.errors import (
    ConfigError,
    HostError,
    KernelError,
    LBError,
    RefusedError,
    StoreError,
    UsageError,
)
from ipvs_lb.events import Event, Fact, Level, Ring
from ipvs_lb.health import Health
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
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.table import Statistics, Table, VirtualService
from ipvs_lb.overrides import Override
from ipvs_lb.plan import opened, plan
from ipvs_lb.policy import Member, Removed, VipRuling, starting_health
from ipvs_lb.ports import Host, Kernel, Prober, Records, Store

T = TypeVar("T")

_SLICE = 25  # services decided between two turns of the event loop
_DRAIN_POLL = 1.0  # seconds between two looks at the connections of draining servers
_BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds to wait for a kernel that does not answer
_SHOWN = 5  # commands named in an event


async def _no_other_groups(_: Config) -> Mapping[str, Group] | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The outside of a gateway, as the daemon sees it.

    `clock`: Unix seconds that never go back. `reader` is another connection to the kernel, so that reading the whole
    table keeps no change waiting; None: there is one for both. `during_reload` is entered for every reload, whoever
    asked for it. `groups` gives what is declared beside the files, which it is told whenever they were read;
    None: what was declared so far.
    """

    load: Callable[[], Config]
    origin: str
    kernel: Kernel
    host: Host
    store: Store
    records: Records
    prober: Prober
    clock: Callable[[], float]
    threads: Executor
    during_reload: Callable[[], AbstractAsyncContextManager[object]] = nullcontext
    reader: Kernel | None = None
    groups: Callable[[Config], Awaitable[Mapping[str, Group] | None]] = _no_other_groups


class Balancer:
    """Implements `ipvs_lb.engine.control.Control`. `start`, then `run` until cancelled."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._mirror = Mirror(parts.kernel, parts.reader or parts.kernel, parts.threads)
        self._detours = Detours(parts.prober, self._mirror)
        self._monitors = Monitors(self._detours, self._heard, clock=parts.clock)
        self._notebook = Notebook(parts.records, parts.threads)
        self._court = Court(lay_out(Config()), self._monitors.health)
        self._ring = Ring()
        self._subscribers: list[Callable[[Event], None]] = []
        self._dirty: set[ServiceKey] = set()
        self._written: set[ServiceKey] = set()
        self._wake = asyncio.Event()
        self._whole_due = 0.0
        self._settled = False
        self._failures = 0
        self._started = parts.clock()
        self._reconciled: float | None = None
        self._drifted = 0
        self._reported: tuple[Command, ...] = ()
        self._vips: tuple[PlacedVip, ...] = ()
        self._missing: tuple[SysctlNeed, ...] = ()
        self._generation: GenerationSummary | None = None
        self._recorded = self._is_fresh = False
        self._config_error: tuple[str, ...] = ()
        self._groups = Groups()
        self._reloading = asyncio.Lock()
        self._asked: list[asyncio.Future[None]] = []
        self._begun = asyncio.Event()
        self._kernel_trouble = self._host_trouble = ""
        self._guard = Guard(self._change_host, self._tell)
        self._surroundings = Surroundings(
            parts.host.changes, self._look_around, self._announce_again
        )

    # what a face can ask and order

    def snapshot(self) -> Snapshot:
        """Everything there is to see, at this moment."""
        known = self._mirror.services
        return Snapshot(
            at=self._parts.clock(),
            started=self._started,
            origin=self._parts.origin,
            config=self._court.roster.config,
            layouts=self._court.roster.layouts,
            decision=self._court.decision,
            probes=self._monitors.views(),
            overrides=dict(self._court.overrides),
            kernel=None if known is None else Table(self._detours.datapath.without(known)),
            kernel_error=self._mirror.error,
            reconciled=self._reconciled,
            drifted=self._drifted,
            generation=self._generation,
            config_error=self._config_error,
            last_event=self._ring.last,
        )

    @property
    def roster(self) -> Roster:
        """The configuration in force, laid out."""
        return self._court.roster

    async def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """The kernel's counters now, of the services *keys* or of all. Raises KernelError."""
        return await self._mirror.statistics(keys)

    async def order(self, members: Sequence[Member], override: Override | None) -> None:
        """Put a standing order on *members*, or with None take theirs back; durable when this returns."""
        unknown = [member for member in members if member not in self._court.roster.seats]
        if unknown:
            raise UsageError(f"no such server: {unknown[0]}")
        for member in members:
            self._put_override(member, override)
        await self._notebook.flush()
        self._touch({member.key for member in members})

    def _put_override(self, member: Member, override: Override | None) -> None:
        name = records.override_name(member)
        facts: dict[str, Fact] = {"service": str(member.key), "server": str(member.server)}
        if override is None:
            if self._court.overrides.pop(member, None) is not None:
                self._notebook.put(name, None)
                self._tell(Story("override.cleared", Level.INFO, facts))
            return
        self._court.overrides[member] = override
        self._notebook.put(name, records.override_text(override))
        facts |= {
            "action": override.action.value,
            "weight": override.weight,
            "expires": override.expires,
            "reason": override.reason,
            "who": override.who,
        }
        self._tell(Story("override.set", Level.INFO, facts))

    async def check(self, members: Sequence[Member]) -> Mapping[Probe, Outcome]:
        """Probe *members* now, out of turn; the results count like any other."""
        seats = self._court.roster.seats
        probes = {p: None for member in members if member in seats for p in seats[member].probes}
        return await self._monitors.check(probes)

    async def announce(self) -> None:
        """Announce every VIP that is up on its link once more. Raises HostError."""
        places = [vip.place for vip in self._vips if vip.announce]
        await self._aside(self._parts.host.announce, places)

    def warn(self, name: str, facts: Mapping[str, Fact]) -> None:
        """Make an event of something that a face has seen and somebody should look at."""
        self._tell(Story(name, Level.WARNING, facts))

    def note(self, name: str, facts: Mapping[str, Fact]) -> None:
        """Make an event of something that happened in a face."""
        self._tell(Story(name, Level.INFO, facts))

    def events(self, after: int) -> tuple[Event, ...]:
        """The kept events numbered above *after*, oldest first."""
        return self._ring.after(after)

    def subscribe(self, told: Callable[[Event], None]) -> Callable[[], None]:
        """Have *told* called with every further event; the returned function ends that."""
        self._subscribers.append(told)
        return lambda: self._subscribers.remove(told) if told in self._subscribers else None

    # life

    async def start(self) -> None:
        """Load the configuration, adopt what is in the kernel, and believe what was remembered.

        Raises ConfigError: a daemon does not start without a configuration.
        """
        self._groups = await self._with_files(await self._aside(self._parts.load))
        first = await self._aside(lay_out_after, lay_out(Config()), self._groups.merged())
        roster = first.roster
        remembered = await self._notebook.read(roster)
        for event in remembered.events:
            self._ring.restore(event)
        self._tell(Story("daemon.started", Level.INFO, {"origin": self._parts.origin}))
        for name in remembered.damaged:
            self._tell(Story("record.damaged", Level.WARNING, {"record": name}))
        table = await self._first_look()
        known = remembered.health
        health = await self._aside(
            starting_health, roster.layouts.values(), table, known, self._parts.clock()
        )
        self._court.overrides.update(remembered.overrides)
        self._enact(first, remembered.removed)
        self._need_whole()
        self._monitors.restore(health)
        self._monitors.keep(roster.users)

    async def _first_look(self) -> Table:
        try:
            return await self._mirror.read()
        except KernelError as error:
            self._lost(error)
            return Table()

    async def run(self) -> None:
        """Keep the kernel as decided until cancelled; then write down what is known."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, work in (
                    ("monitors", self._monitors.run),
                    ("notebook", self._notebook.run),
                    ("drains", self._watch_drains),
                    ("links", self._surroundings.listen),
                    ("announcements", self._surroundings.react),
                    ("reconciler", self._follow),
                ):
                    group.create_task(forever(name, work, self._crashed), name=name)
        finally:
            self._tell(Story("daemon.stopped", Level.INFO, {}))
            await self._notebook.flush()

    async def begun(self) -> None:
        """Return when the first comparison with the kernel is over, whatever came of it."""
        await self._begun.wait()

    async def reload(self) -> None:
        """Read the configuration again. Raises ConfigError, and the old one stays in force."""
        async with self._reloading, self._parts.during_reload():
            with heap.at_rest():
                await self._reload()

    async def _reload(self) -> None:
        try:
            groups = await self._with_files(await self._aside(self._parts.load))
        except ConfigError as error:
            self._config_error = error.problems
            facts: dict[str, Fact] = {
                "problems": len(error.problems),
                "first": error.problems[0],
            }
            self._tell(Story("config.refused", Level.ERROR, facts))
            raise
        self._config_error = ()
        turn = await self._turn_to(groups)
        self._recorded = False
        if self._needs_nothing_else(turn):
            self._look_around()
        else:
            self._need_whole()
        services = len(self._court.roster.layouts)
        self._tell(Story("config.loaded", Level.INFO, {"services": services}))

    async def _with_files(self, files: Config) -> Groups:
        """What is declared when the configuration's files say *files*. Raises ConfigError."""
        return self._groups.with_files(files, await self._parts.groups(files))

    async def declare(self, group: str, services: Group) -> None:
        """Have *services* as the group of that name beside all else; they are in the kernel when this returns.

        Raises ConfigError when one is declared elsewhere, and changes nothing then; KernelError, HostError or
        StoreError when they could not be brought in force, which is tried again all the same.
        """
        async with self._reloading:
            turn = await self._turn_to(self._groups.with_group(group, services))
            if not self._needs_nothing_else(turn):
                self._need_whole()
            asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._asked.append(asked)
            self._wake.set()
        await asked

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

    async def _turn_to(self, groups: Groups) -> Turn:
        """Decide by *groups* from now on."""
        turn = await self._aside(lay_out_after, self._court.roster, groups.merged())
        present = Table(dict(self._mirror.services or {}))
        health = await self._aside(
            _new_health, turn, present, self._monitors.health, self._parts.clock()
        )
        self._groups = groups
        self._enact(turn, self._removals(turn))
        self._monitors.restore(health)
        self._monitors.keep(turn.roster.users, turn.probes)
        return turn

    def _enact(self, turn: Turn, removed: Mapping[Member, Removed]) -> None:
        for member, record in removed.items():
            self._notebook.put(records.removed_name(member), records.removed_text(record))
        for probe in turn.probes:
            if probe not in turn.roster.users:
                self._notebook.put(records.health_name(probe), None)
        self._court.replace(turn, removed)
        self._dirty |= turn.changed
        self._detours.datapath = turn.roster.datapath

    def _removals(self, turn: Turn) -> dict[Member, Removed]:
        """Servers that have connections and are no longer declared, while their service still is."""
        now, found = self._parts.clock(), {}
        present = self._mirror.services or {}
        for key, layout in ((key, turn.roster.layouts[key]) for key in turn.changed):
            virtual = present.get(key)
            if virtual is None:
                continue
            declared = {seat.member.server for seat in layout.seats}
            timeout = layout.declared.policy.drain_timeout
            for server_key in virtual.servers.keys() - declared:
                if server_key in self._court.removed.get(key, {}):
                    continue
                found[Member(key, server_key)] = Removed(
                    server=virtual.servers[server_key], since=now, deadline=now + timeout
                )
        return found

    # waking

    def _heard(self, probe: Probe) -> None:
        self._notebook.put(
            records.health_name(probe), records.health_text(self._monitors.health[probe])
        )
        self._touch(self._court.roster.concerned.get(probe, ()))

    def _touch(self, keys: Iterable[ServiceKey]) -> None:
        self._dirty.update(keys)
        self._wake.set()

    def _need_whole(self) -> None:
        self._settled = False
        self._whole_due = 0.0
        self._wake.set()

    def _look_around(self) -> None:
        """Have everything compared now; what is in force stays so meanwhile."""
        if not self._failures:
            self._whole_due = 0.0
            self._wake.set()

    async def _announce_again(self, interfaces: Set[str]) -> None:
        places = [
            vip.place for vip in self._vips if vip.announce and vip.place.interface in interfaces
        ]
        if not places:
            return
        try:
            await self._aside(self._parts.host.announce, places)
        except HostError as error:
            self._host_failed(error)

    async def _follow(self) -> None:
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

    # deciding and writing

    async def _decide(self, now: float) -> None:
        keys = list(self._dirty | self._court.due(now))
        self._dirty.clear()
        turned = self._court.turned
        for start in range(0, len(keys), _SLICE):
            part = keys[start : start + _SLICE]
            for story in self._court.decide(part, now):
                self._tell(self._explained(story))
            if self._settled:
                await self._write(part)
            await asyncio.sleep(0)
        if self._court.turned != turned:
            self._need_whole()

    async def _write(self, keys: Iterable[ServiceKey]) -> None:
        """Bring *keys* in force, as the difference from what is known to be in the kernel."""
        known = self._mirror.services
        decided = self._court.services
        keys = [key for key in keys if key not in self._guard.withheld]
        if known is None or any(key not in known for key in keys):
            self._need_whole()
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
            self._lost(error)

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

    def _lost(self, error: KernelError) -> None:
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
            self._begun.set()

    async def _compare(self, config: Config) -> LBError | None:
        try:
            await self._reconcile(config)
        except KernelError as error:
            self._lost(error)
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
        self._reconciled = self._parts.clock()
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
        self._vips = desired.vips
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
        self._surroundings.announced({step.place.interface for step in added})
        return HostError("; ".join(left[:_SHOWN]), hint=hint) if left else None

    def _is_drift(self, commands: Sequence[Command]) -> bool:
        """Whether others made *commands* necessary."""
        return bool(commands) and self._settled and not self._guard.is_news

    def _is_left_alone(self, commands: Sequence[Command], config: Config) -> bool:
        """Others changed what is ours: say so, and whether that stays."""
        left_alone = config.daemon.drift is Drift.REPORT
        if not left_alone or commands != self._reported:
            self._drifted += 1
            facts: dict[str, Fact] = {
                "commands": len(commands),
                "first": "; ".join(map(str, commands[:_SHOWN])),
                "after": self._reconciled,
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
        now, services = self._parts.clock(), self._detours.datapath.without(desired.table.services)
        declared = replace(desired, table=replace(desired.table, services=services))
        self._generation = await self._aside(
            lambda: store.commit(declared, origin=self._parts.origin, now=now)
        )
        if declared != desired:
            await self._aside(store.claim, owned_by(desired))
        self._recorded = self._is_fresh = True
        heap.settle()

    async def _watch_drains(self) -> None:
        while True:
            await asyncio.sleep(_DRAIN_POLL)
            present, waiting = self._mirror.services, self._court.draining()
            if present is None or not waiting:
                continue
            present = {key: present[key] for key in waiting if key in present}
            try:
                counted = await self._mirror.statistics(present.keys())
            except KernelError as error:
                self._lost(error)
                continue
            self._touch(self._court.count(counted, present))

    # telling

    def _crashed(self, name: str, what: str, pause: float) -> None:
        """A fault of ours: start over from what the kernel says."""
        facts: dict[str, Fact] = {"task": name, "error": what, "retry_in": pause}
        self._tell(Story("task.crashed", Level.ERROR, facts))
        self._need_whole()

    def _tell_missing(self, missing: tuple[SysctlNeed, ...]) -> None:
        """Each sysctl that only the operator can set is told once, and again when it was right in between."""
        for need in missing:
            if need not in self._missing:
                facts = {"sysctl": f"{need.name}={need.value}", "reason": need.reason}
                self._tell(Story("sysctl.missing", Level.WARNING, facts))
        self._missing = missing

    def _explained(self, story: Story) -> Story:
        """A server that goes down says what its last failure was."""
        seat = None if story.member is None else self._court.roster.seats.get(story.member)
        if story.name != "server.down" or seat is None:
            return story
        for probe in seat.probes:
            last = self._monitors.history(probe)[-1:]
            if last and last[0].result.error is not None:
                result = last[0].result
                facts = {**story.facts, "error": str(result.error), "detail": result.detail}
                return replace(story, facts=facts)
        return story

    async def _aside(self, call: Callable[..., T], *arguments: object) -> T:
        """The result of a call that would keep the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._parts.threads, partial(call, *arguments))

    def _tell(self, story: Story) -> None:
        event = self._ring.add(story.name, self._parts.clock(), story.level, **story.facts)
        self._notebook.put_event(event)
        for told in tuple(self._subscribers):
            told(event)


def _new_health(
    turn: Turn, present: Table, health: Mapping[Probe, Health], now: float
) -> dict[Probe, Health]:
    """What is believed of the probes that are new with *turn*; that of the others goes on."""
    layouts = [turn.roster.layouts[key] for key in turn.changed]
    probes = (probe for layout in layouts for seat in layout.seats for probe in seat.probes)
    known = {probe: health[probe] for probe in probes if probe in health}
    found = starting_health(layouts, present, known, now)
    return {probe: believed for probe, believed in found.items() if probe not in known}


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
