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
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from ipvs_lb import hostplan
from ipvs_lb.commands import Command
from ipvs_lb.engine import records
from ipvs_lb.engine.control import Outcome, Snapshot
from ipvs_lb.engine.court import Court, withdrawn
from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.engine.monitors import Monitors
from ipvs_lb.engine.news import Story
from ipvs_lb.engine.notebook import Notebook
from ipvs_lb.engine.roster import Roster, lay_out
from ipvs_lb.engine.supervision import forever
from ipvs_lb.errors import ConfigError, HostError, KernelError, StoreError, UsageError
from ipvs_lb.events import Event, Fact, Level, Ring
from ipvs_lb.model.config import Config, Drift
from ipvs_lb.model.desired import Desired, GenerationSummary, Owned, PlacedVip, owned_by
from ipvs_lb.model.host import HostState
from ipvs_lb.model.identity import IPAddress, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.table import Statistics, Table, VirtualService
from ipvs_lb.overrides import Override
from ipvs_lb.plan import plan
from ipvs_lb.policy import Member, Removed, VipRuling, starting_health
from ipvs_lb.ports import Host, Kernel, Prober, Records, Store

T = TypeVar("T")

_SLICE = 25  # services decided between two turns of the event loop
_DRAIN_POLL = 1.0  # seconds between two looks at the connections of draining servers
_BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds to wait for a kernel that does not answer
_SHOWN = 5  # commands named in an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The outside of a gateway, as the daemon sees it. `clock`: Unix seconds that never go back."""

    load: Callable[[], Config]
    origin: str
    kernel: Kernel
    host: Host
    store: Store
    records: Records
    prober: Prober
    clock: Callable[[], float]
    threads: Executor


class Balancer:
    """Implements `ipvs_lb.engine.control.Control`. `start`, then `run` until cancelled."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._mirror = Mirror(parts.kernel, parts.threads)
        self._monitors = Monitors(parts.prober, self._heard, clock=parts.clock)
        self._notebook = Notebook(parts.records, parts.threads)
        self._court = Court(lay_out(Config()), self._monitors.health)
        self._ring = Ring()
        self._subscribers: list[Callable[[Event], None]] = []
        self._dirty: set[ServiceKey] = set()
        self._wake = asyncio.Event()
        self._whole_due = 0.0
        self._settled = False
        self._failures = 0
        self._started = parts.clock()
        self._reconciled: float | None = None
        self._drifted = 0
        self._reported: tuple[Command, ...] = ()
        self._vips: tuple[PlacedVip, ...] = ()
        self._generation: GenerationSummary | None = None
        self._recorded = False
        self._config_error: tuple[str, ...] = ()
        self._reloading = asyncio.Lock()
        self._begun = asyncio.Event()

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
            kernel=None if known is None else Table(dict(known)),
            kernel_error=self._mirror.error,
            reconciled=self._reconciled,
            drifted=self._drifted,
            generation=self._generation,
            config_error=self._config_error,
            last_event=self._ring.last,
        )

    async def statistics(self) -> Statistics:
        """The kernel's counters now. Raises KernelError."""
        return await self._mirror.statistics()

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
        config = await self._aside(self._parts.load)
        roster = await self._aside(lay_out, config)
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
        self._enact(roster, remembered.removed)
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
        async with self._reloading:
            try:
                config = await self._aside(self._parts.load)
                roster = await self._aside(_lay_out_anew, config, self._court.roster)
            except ConfigError as error:
                self._config_error = error.problems
                facts: dict[str, Fact] = {
                    "problems": len(error.problems),
                    "first": error.problems[0],
                }
                self._tell(Story("config.refused", Level.ERROR, facts))
                raise
            self._config_error = ()
            present = Table(dict(self._mirror.services or {}))
            new = {p: self._monitors.health.get(p) for p in roster.users}
            known = {p: health for p, health in new.items() if health is not None}
            health = await self._aside(
                starting_health, roster.layouts.values(), present, known, self._parts.clock()
            )
            self._enact(roster, self._removals(roster))
            self._monitors.restore({p: h for p, h in health.items() if p not in known})
            self._monitors.keep(roster.users)
            self._tell(Story("config.loaded", Level.INFO, {"services": len(roster.layouts)}))

    def _enact(self, roster: Roster, removed: Mapping[Member, Removed]) -> None:
        for member, record in removed.items():
            self._notebook.put(records.removed_name(member), records.removed_text(record))
        for probe in self._court.roster.users.keys() - roster.users.keys():
            self._notebook.put(records.health_name(probe), None)
        self._dirty |= self._court.replace(roster, removed)
        self._recorded = False
        self._need_whole()

    def _removals(self, roster: Roster) -> dict[Member, Removed]:
        """Servers that have connections and are no longer declared, while their service still is."""
        now, found = self._parts.clock(), {}
        for key, virtual in (self._mirror.services or {}).items():
            layout = roster.layouts.get(key)
            if layout is None:
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

    async def _follow(self) -> None:
        while True:
            await self._sleep()
            self._wake.clear()
            now = self._parts.clock()
            await self._decide(now)
            if now >= self._whole_due:
                await self._whole()

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
        vips = {address: ruling.is_up for address, ruling in self._court.vips.items()}
        for start in range(0, len(keys), _SLICE):
            part = keys[start : start + _SLICE]
            for story in self._court.decide(part, now):
                self._tell(self._explained(story))
            if self._settled:
                await self._write(part)
            await asyncio.sleep(0)
        if {address: ruling.is_up for address, ruling in self._court.vips.items()} != vips:
            self._need_whole()

    async def _write(self, keys: Iterable[ServiceKey]) -> None:
        """Bring *keys* in force, as the difference from what is known to be in the kernel."""
        known = self._mirror.services
        decided = self._court.services
        if known is None or any(key not in known for key in keys):
            self._need_whole()
            return
        after = {key: decided[key].virtual for key in keys if key in decided}
        before = {key: known[key] for key in after}
        commands = plan(Table(before), Table(after))
        if commands:
            await self._try_to_write(commands, after)

    async def _try_to_write(
        self, commands: Sequence[Command], after: Mapping[ServiceKey, VirtualService]
    ) -> bool:
        try:
            await self._mirror.write(commands, after)
        except KernelError as error:
            self._lost(error)
            return False
        shown = "; ".join(map(str, commands[:_SHOWN]))
        self._tell(Story("plan.applied", Level.INFO, {"commands": len(commands), "first": shown}))
        return True

    def _lost(self, error: KernelError) -> None:
        """The kernel refused or did not answer: try again later, louder the first time."""
        self._settled = False
        pause = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        self._whole_due = self._parts.clock() + pause
        facts: dict[str, Fact] = {"reason": str(error), "hint": error.hint, "retry_in": pause}
        self._tell(Story("kernel.failed", Level.ERROR, facts))

    async def _whole(self) -> None:
        """Read, compare and repair everything."""
        config = self._court.roster.config
        self._whole_due = self._parts.clock() + config.daemon.reconcile_interval
        try:
            await self._compare(config)
        finally:
            self._begun.set()

    async def _compare(self, config: Config) -> None:
        try:
            await self._reconcile(config)
        except KernelError as error:
            self._lost(error)
            return
        except (HostError, StoreError) as error:
            facts: dict[str, Fact] = {"reason": str(error), "hint": error.hint}
            self._tell(Story("host.failed", Level.ERROR, facts))
            return
        if self._failures:
            self._tell(Story("kernel.recovered", Level.INFO, {"failures": self._failures}))
        self._failures = 0
        self._reconciled = self._parts.clock()

    async def _reconcile(self, config: Config) -> None:
        roster, store = self._court.roster, self._parts.store
        owned = await self._aside(store.owned)
        table, rulings = self._court.table(), dict(self._court.vips)
        desired, state = await self._aside(self._desired, config, owned, table, rulings)
        actual = await self._mirror.read()
        wanted = owned_by(desired)
        ours = _part_of(actual, owned | wanted)
        commands = await self._aside(plan, ours, desired.table)
        if commands and self._settled and self._is_left_alone(commands, config):
            return
        if owned | wanted != owned:
            await self._aside(store.claim, owned | wanted)
        before, after = hostplan.host_plan(state, desired, owned)
        self._mirror.services = dict(ours.services)
        if commands and not await self._try_to_write(commands, desired.table.services):
            return
        self._mirror.services = dict(desired.table.services)
        self._vips = desired.vips
        for step in (*before, *after):
            await self._aside(self._parts.host.execute, step)
            self._tell(Story("host.changed", Level.INFO, {"what": str(step)}))
        if self._court.roster is roster:
            await self._record(desired, owned | wanted)
            self._settled = True

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
    ) -> tuple[Desired, HostState]:
        """Everything that is to be in force, and the host as it is. Runs beside the event loop."""
        state = self._parts.host.read(hostplan.SYSCTLS)
        rules = hostplan.source_nat_rules(config, table, state)
        vips = [vip for service in config.services for vip in service.vips]
        if table.daemons is None and owned.daemons:
            table = replace(table, daemons={})
        desired = Desired(
            table,
            hostplan.place(vips, state),
            rules,
            hostplan.sysctl_needs(config, table, rules),
            config.manage_sysctls,
            hostplan.unmanaged(vips),
        )
        return withdrawn(desired, rulings), state

    async def _record(self, desired: Desired, claimed: Owned) -> None:
        """A configuration that is in force for the first time makes a generation."""
        store = self._parts.store
        if self._recorded:
            if claimed != owned_by(desired):
                await self._aside(store.claim, owned_by(desired))
            return
        now = self._parts.clock()
        self._generation = await self._aside(
            lambda: store.commit(desired, origin=self._parts.origin, now=now)
        )
        self._recorded = True

    async def _watch_drains(self) -> None:
        while True:
            await asyncio.sleep(_DRAIN_POLL)
            present = self._mirror.services
            if present is None or not self._court.draining():
                continue
            present = dict(present)
            try:
                counted = await self._mirror.statistics()
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


def _lay_out_anew(config: Config, before: Roster) -> Roster:
    """The roster of *config*, with the layouts of *before* where nothing has changed."""
    new = lay_out(config)
    same = {
        key: before.layouts[key]
        for key, layout in new.layouts.items()
        if key in before.layouts and before.layouts[key] == layout
    }
    return replace(new, layouts={**new.layouts, **same})


def _part_of(actual: Table, ours: Owned) -> Table:
    services = {key: value for key, value in actual.services.items() if key in ours.services}
    present = actual.daemons or {}
    return Table(
        services,
        actual.timeouts,
        {role: daemon for role, daemon in present.items() if role in ours.daemons},
    )
