"""The daemon's heart: what is configured, checked, believed and ordered, brought together for the one task that writes.

Rules kept here:
1. Probe results, orders, reloads and what faces declare change inputs and wake the reconciler, which alone writes.
2. A refused configuration leaves the old one in force. Stopping leaves the table forwarding.
3. While the kernel does not answer, probing goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TypeVar

from ipvs_lb.engine import heap, records
from ipvs_lb.engine.aside import Aside
from ipvs_lb.engine.control import Outcome, Snapshot
from ipvs_lb.engine.court import Court
from ipvs_lb.engine.detours import Detours
from ipvs_lb.engine.drains import Drains
from ipvs_lb.engine.groups import Group, Groups
from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.engine.monitors import Monitors
from ipvs_lb.engine.news import Story
from ipvs_lb.engine.notebook import Notebook
from ipvs_lb.engine.parts import Parts
from ipvs_lb.engine.reconciler import Reconciler
from ipvs_lb.engine.roster import Roster, Turn, lay_out, lay_out_after
from ipvs_lb.engine.supervision import forever
from ipvs_lb.errors import (
    ConfigError,
    KernelError,
    UsageError,
)
from ipvs_lb.events import Event, Fact, Level, Ring
from ipvs_lb.health import Health
from ipvs_lb.model.activity import Activity
from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.table import Statistics, Table
from ipvs_lb.overrides import Override
from ipvs_lb.policy import Member, Removed, starting_health

T = TypeVar("T")


class Balancer:
    """Implements `ipvs_lb.engine.control.Control`. `start`, then `run` until cancelled."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._mirror = Mirror(parts.kernel, parts.reader or parts.kernel, parts.threads)
        self._detours = Detours(parts.prober, self._mirror)
        self._monitors = Monitors(
            self._detours, self._heard, clock=parts.clock, random=parts.random
        )
        self._notebook = Notebook(parts.records, parts.threads)
        self._court = Court(lay_out(Config()), self._monitors.health)
        self._ring = Ring()
        self._subscribers: list[Callable[[Event], None]] = []
        self._started = parts.clock()
        self._config_error: tuple[str, ...] = ()
        self._groups = Groups()
        self._reloading = asyncio.Lock()
        self._reconciler = Reconciler(parts, self._court, self._mirror, self._tell)
        self._drains = Drains(
            self._court, self._mirror, touch=self._reconciler.touch, lost=self._reconciler.lost
        )
        self._aside = Aside(parts.threads)

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
            reconciled=self._reconciler.reconciled,
            drifted=self._reconciler.drifted,
            generation=self._reconciler.generation,
            config_error=self._config_error,
            last_event=self._ring.last,
            activity=self._activity(),
        )

    def _activity(self) -> Activity:
        kernel, host = self._reconciler.failures
        return Activity(
            probes=self._monitors.activity(),
            comparisons=self._reconciler.comparisons.so_far(),
            kernel_failures=kernel,
            host_failures=host,
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
        self._reconciler.touch({member.key for member in members})

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
        places = [vip.place for vip in self._reconciler.vips if vip.announce]
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
        self._monitors.restore(health)
        self._monitors.keep(roster.users)

    async def _first_look(self) -> Table:
        try:
            return await self._mirror.read()
        except KernelError as error:
            self._reconciler.lost(error)
            return Table()

    async def run(self) -> None:
        """Keep the kernel as decided until cancelled; then write down what is known."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, work in (
                    ("monitors", self._monitors.run),
                    ("notebook", self._notebook.run),
                    ("drains", self._drains.watch),
                    ("links", self._reconciler.surroundings.listen),
                    ("announcements", self._reconciler.surroundings.react),
                    ("reconciler", self._reconciler.follow),
                ):
                    group.create_task(forever(name, work, self._crashed), name=name)
        finally:
            self._tell(Story("daemon.stopped", Level.INFO, {}))
            await self._notebook.flush()

    async def begun(self) -> None:
        """Return when the first comparison with the kernel is over, whatever came of it."""
        await self._reconciler.begun.wait()

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
        await self._turn_to(groups)
        self._reconciler.record()
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
            await self._turn_to(self._groups.with_group(group, services))
            in_force = self._reconciler.in_force()
        await in_force

    async def _turn_to(self, groups: Groups) -> None:
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

    def _enact(self, turn: Turn, removed: Mapping[Member, Removed]) -> None:
        for member, record in removed.items():
            self._notebook.put(records.removed_name(member), records.removed_text(record))
        for probe in turn.probes:
            if probe not in turn.roster.users:
                self._notebook.put(records.health_name(probe), None)
        for member in self._court.overrides:
            if member not in turn.roster.seats:
                self._notebook.put(records.override_name(member), None)
        self._court.replace(turn, removed)
        self._detours.datapath = turn.roster.datapath
        self._reconciler.turn(turn)

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

    def _heard(self, probe: Probe) -> None:
        self._notebook.put(
            records.health_name(probe), records.health_text(self._monitors.health[probe])
        )
        self._reconciler.touch(self._court.roster.concerned.get(probe, ()))

    # telling

    def _crashed(self, name: str, what: str, pause: float) -> None:
        """A fault of ours: start over from what the kernel says."""
        facts: dict[str, Fact] = {"task": name, "error": what, "retry_in": pause}
        self._tell(Story("task.crashed", Level.ERROR, facts))
        self._reconciler.need_whole()

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

    def _tell(self, story: Story) -> None:
        story = self._explained(story)
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
