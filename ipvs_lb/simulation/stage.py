"""A scenario's stage in virtual time: the daemon's engine, a kernel in memory, servers and clients that are described."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar, assert_never

from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.engine.parts import Parts
from ipvs_lb.errors import LabError
from ipvs_lb.events import Event
from ipvs_lb.lab.traffic import Request
from ipvs_lb.memory.host import MemoryHost
from ipvs_lb.memory.kernel import MemoryKernel
from ipvs_lb.memory.store import MemoryStore
from ipvs_lb.model.config import Config
from ipvs_lb.model.host import HostState, InterfaceAddress
from ipvs_lb.model.table import Table
from ipvs_lb.overrides import Action as Ordered
from ipvs_lb.overrides import Override
from ipvs_lb.scenario.layout import layout
from ipvs_lb.scenario.play import Kind, News, Tell, change
from ipvs_lb.scenario.steps import (
    Action,
    Become,
    Daemon,
    Delay,
    Life,
    Lose,
    Order,
    Plug,
    Reload,
    Run,
    Scenario,
)
from ipvs_lb.simulation.clients import Clients, Scheduling
from ipvs_lb.simulation.clock import Inline, VirtualTimeLoop
from ipvs_lb.simulation.servers import Servers, SimulatedProber

T = TypeVar("T")
START = 1_700_000_000.0
"""Unix seconds at which every simulation begins."""
_SEED = 1
_LAN = "eth0"
_ORDERS = {"drain": Ordered.DRAIN, "disable": Ordered.DOWN, "weight": Ordered.WEIGHT}
_UNTOLD = frozenset(
    {"plan.applied", "override.set", "override.cleared", "host.changed", "sysctl.missing"}
)
"""Events that say again what is told as a step or as a change of the table, or are about a machine that is not there."""


class SimulatedStage:
    """Implements `ipvs_lb.scenario.play.Stage`; `opened` begins and ends it."""

    def __init__(self, scenario: Scenario, tell: Tell) -> None:
        self._scenario = scenario
        self._tell = tell
        plan = layout(list(scenario.configs.values()))
        self.names = {machine.address: machine.name for machine in plan.machines}
        self._chance = Random(_SEED)  # noqa: S311  # packets are lost, no secrets made
        self._servers = Servers(plan.machines, self._chance)
        self._loop = VirtualTimeLoop()
        self._kernel = MemoryKernel()
        own = [
            *(InterfaceAddress(_LAN, one.gateway, one.network.prefixlen) for one in plan.subnets),
            *(InterfaceAddress(_LAN, one, one.max_prefixlen) for one in plan.own),
        ]
        self._host = MemoryHost(
            HostState(
                interfaces=frozenset({"lo", _LAN, *plan.interfaces}),
                addresses=frozenset(own),
            )
        )
        self._store = MemoryStore()
        self._config = scenario.configs[scenario.config]
        self._balancer: Balancer | None = None
        self._is_quiet = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        goals = {name: plan.goals[name] for name in sorted(scenario.watched)}
        scheduling = Scheduling(self._kernel, self._host)
        self._clients = Clients(goals, scenario.pace, scheduling, self._servers, self.names)

    def begin(self) -> None:
        """Start the daemon, and with it the clients."""
        self._start_daemon()
        self._run_on("clients", self._clients.ask())

    def end(self) -> None:
        """Stop everything; that is told to nobody."""
        self._is_quiet = True
        for name in list(self._tasks):
            self._end(name)
        self._loop.close()

    def now(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time()

    def wait(self, until: float) -> None:
        """Let that time pass, at once."""
        self._do(asyncio.sleep(max(0.0, until - self.now())))
        for task in self._tasks.values():
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def look(self) -> tuple[Config, Table]:
        """The configuration in force, and the table now."""
        return self._config, self._kernel.table

    def requests(self, service: str) -> Sequence[Request]:
        """Every request of a service's clients so far."""
        return self._clients.requests(service)

    def do(self, action: Action) -> None:
        """Have something happen. Raises LabError when it cannot."""
        match action:
            case Become() | Plug() | Lose() | Delay():
                change(self._servers, action)
            case Daemon(life):
                self._live(life)
            case Reload(file):
                self._config = self._scenario.configs[file]
                self._do(self._running("reload").reload())
            case Order():
                self._order(action)
            case Run():
                raise LabError("a program cannot be run in a simulation")
            case _:
                assert_never(action)

    def _order(self, order: Order) -> None:
        word, *terms = order.words
        balancer = self._running(word)
        members = [
            seat.member
            for layout_ in balancer.roster.layouts.values()
            if layout_.declared.name in order.who.services
            for seat in layout_.seats
            if seat.member.server.address == order.who.address
        ]
        self._do(balancer.order(members, self._override(word, terms)))

    def _override(self, word: str, terms: Sequence[str]) -> Override | None:
        if word == "enable":
            return None
        weight = int(terms[0]) if terms else None
        return Override(action=_ORDERS[word], since=START + self.now(), weight=weight)

    def _running(self, what: str) -> Balancer:
        if self._balancer is None:
            raise LabError(f"{what}: the daemon is not running")
        return self._balancer

    def _live(self, life: Life) -> None:
        if life is not Life.START:
            self._running(life.value)
            self._end_daemon(is_killed=life is Life.KILL)
        if life in {Life.START, Life.RESTART}:
            self._start_daemon()

    def _end_daemon(self, *, is_killed: bool) -> None:
        """One that is killed says nothing, and has no time to write down what it knows."""
        written = self._store.records()
        self._is_quiet = is_killed
        self._end("daemon")
        self._is_quiet, self._balancer = False, None
        if is_killed:
            self._store.texts = written

    def _start_daemon(self) -> None:
        if self._balancer is not None:
            raise LabError("the daemon is running already")
        balancer = self._balancer = Balancer(
            Parts(
                load=lambda: self._config,
                origin=str(self._scenario.config),
                kernel=self._kernel,
                host=self._host,
                store=self._store,
                records=self._store,
                prober=SimulatedProber(self._servers),
                clock=lambda: START + self._loop.time(),
                threads=Inline(),
                random=self._chance.random,
            )
        )
        balancer.subscribe(self._heard)
        self._do(balancer.start())
        self._run_on("daemon", balancer.run())

    def _heard(self, event: Event) -> None:
        if self._is_quiet or event.name in _UNTOLD:
            return
        facts = " ".join(f"{k}={v}" for k, v in event.facts.items() if v not in {None, ""})
        self._tell(News(event.at - START, Kind.EVENT, f"{event.name} {facts}".rstrip()))

    def _run_on(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = self._loop.create_task(work)

    def _end(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        self._do(asyncio.wait([task]))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)


@contextmanager
def opened(scenario: Scenario, tell: Tell) -> Iterator[SimulatedStage]:
    """The stage of *scenario*, begun. Raises LabError when it cannot be built."""
    stage = SimulatedStage(scenario, tell)
    try:
        stage.begin()
        yield stage
    finally:
        stage.end()
