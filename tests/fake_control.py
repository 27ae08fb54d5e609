"""A running gateway without an engine: real policy behind it, results and kernel as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from ipvs_lb.engine.control import Outcome, ProbeView, Snapshot
from ipvs_lb.engine.history import History
from ipvs_lb.errors import LBError, UsageError
from ipvs_lb.events import Event, Fact, Level, Ring
from ipvs_lb.health import NEW, Health
from ipvs_lb.model.activity import NO_ACTIVITY, Activity
from ipvs_lb.model.checks import HealthCheck, HttpCheck, TcpCheck
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.desired import GenerationSummary
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result, Timings
from ipvs_lb.model.settings import Service
from ipvs_lb.model.table import ServiceStatistics, Statistics, Table
from ipvs_lb.overrides import Override, without_expired
from ipvs_lb.policy import Decision, Inputs, Member, Memory, all_layouts, decide

START = 1_700_000_000.0
HTTP = HealthCheck(method=HttpCheck(path="/health"))
TCP = HealthCheck(method=TcpCheck())
PASSED = Result(timings=Timings(connect=0.0004, first_byte=0.0012, total=0.0013))
FAILED = Result(
    error=ErrorClass.STATUS,
    detail="500 Internal Server Error",
    timings=Timings(connect=0.0004, total=0.002),
)
BUSY = ServerCounters(
    active=12, inactive=3, traffic=Counters(connections=99, connection_rate=7, in_byte_rate=1500)
)


def service(
    name: str,
    vip: str,
    *servers: DeclaredServer,
    ports: Sequence[int] = (80,),
) -> DeclaredService:
    keys = tuple(AddressKey(IPProtocol.TCP, ip_address(vip), Port(port)) for port in ports)
    return DeclaredService(
        name=name,
        keys=keys,
        service=Service(scheduler="wrr"),
        servers=servers,
        vips=(Vip(address=ip_address(vip)),),
    )


def server(name: str, address: str, *checks: HealthCheck, **settings: int | bool) -> DeclaredServer:
    made = DeclaredServer(name=name, address=ip_address(address), checks=checks)
    return replace(made, **settings)  # type: ignore[arg-type]  # whole numbers and flags as declared


WEB = service(
    "web",
    "10.0.0.16",
    server("server-1", "10.0.0.4", HTTP),
    server("server-2", "10.0.0.6", HTTP, weight=5),
    ports=(80, 443),
)
MAIL = service(
    "mail",
    "2001:db8::25",
    server("mx-1", "2001:db8::4", TCP),
    server("mx-2", "2001:db8::6", disabled=True),
    ports=(25,),
)
CONFIG = Config(services=(WEB, MAIL))


@dataclass
class FakeControl:
    """Everything that is asked of it is answered from what stands here.

    `pondering`: seconds from an order to the decision that follows from it; None: at once.
    """

    config: Config = CONFIG
    now: float = START
    health: dict[Probe, Health] = field(default_factory=dict)
    history: dict[Probe, list[Outcome]] = field(default_factory=dict)
    overrides: dict[Member, Override] = field(default_factory=dict)
    counters: ServerCounters = BUSY
    broken: dict[str, LBError] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    ring: Ring = field(default_factory=Ring)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    config_error: tuple[str, ...] = ()
    foreign: Table = field(default_factory=Table)
    pondering: float | None = None
    activity: Activity = NO_ACTIVITY

    def __post_init__(self) -> None:
        self.memory: Mapping[ServiceKey, Memory] = {}
        self.layouts = {layout.key: layout for layout in all_layouts(self.config)}
        self.decision = self._decide()

    @property
    def probes(self) -> dict[Probe, int]:
        users: dict[Probe, int] = {}
        for layout in self.layouts.values():
            for seat in layout.seats:
                for probe in seat.probes:
                    users[probe] = users.get(probe, 0) + 1
        return users

    def everything_up(self, times: int = 1) -> FakeControl:
        for probe in self.probes:
            for _ in range(times):
                self.result(probe, PASSED)
        self._decide()
        return self

    def fail(self, address: str, times: int = 3) -> FakeControl:
        """Let every check of *address* fail *times* times."""
        for probe in self.probes:
            if str(probe.target.address) == address:
                for _ in range(times):
                    self.result(probe, FAILED)
        self._decide()
        return self

    def result(self, probe: Probe, result: Result) -> Outcome:
        outcome = Outcome(at=self.now, result=result)
        before = self.health.get(probe, NEW)
        self.health[probe] = before.after(result, probe.check, self.now)
        self.history.setdefault(probe, []).append(outcome)
        return outcome

    def _decide(self) -> Decision:
        inputs = Inputs(
            now=self.now,
            health=self.health,
            overrides=self.overrides,
            connections={
                seat.member: self.counters.active + self.counters.inactive
                for layout in self.layouts.values()
                for seat in layout.seats
            },
            memory=self.memory,
        )
        self.decision = decide(self.config, inputs)
        self.memory = self.decision.memory
        return self.decision

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.overrides = without_expired(self.overrides, self.now)
        self._decide()

    def tell(self, name: str, level: Level = Level.INFO, /, **facts: Fact) -> Event:
        event = self.ring.add(name, self.now, level, **facts)
        for told in list(self.listeners):
            told(event)
        return event

    # Control

    def snapshot(self) -> Snapshot:
        error = self.broken.get("kernel")
        table = self.decision.table
        kernel = replace(table, services={**table.services, **self.foreign.services})
        users = self.probes
        return Snapshot(
            at=self.now,
            started=START - 60,
            origin="/etc/ipvs-lb/config.yaml",
            config=self.config,
            layouts=self.layouts,
            decision=self.decision,
            probes={
                probe: ProbeView(
                    probe=probe,
                    health=self.health.get(probe, NEW),
                    history=remembered(self.history.get(probe, ())),
                    users=users[probe],
                )
                for probe in users
            },
            overrides=dict(self.overrides),
            kernel=None if error else kernel,
            kernel_error=str(error) if error else None,
            reconciled=self.now,
            drifted=0,
            generation=GenerationSummary(
                number=7, created=START, origin="/etc/ipvs-lb/config.yaml", services=3, servers=6
            ),
            config_error=self.config_error,
            last_event=self.ring.last,
            activity=self.activity,
        )

    async def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        self._may("kernel")
        return {
            key: ServiceStatistics(
                self.counters.traffic, dict.fromkeys(virtual.servers, self.counters)
            )
            for key, virtual in self.decision.table.services.items()
            if keys is None or key in keys
        }

    async def order(self, members: Sequence[Member], override: Override | None) -> None:
        self._may("order")
        known = {seat.member for layout in self.layouts.values() for seat in layout.seats}
        if not known.issuperset(members):
            raise UsageError("no such member")
        for member in members:
            self.overrides.pop(member, None)
            if override is not None:
                self.overrides[member] = override
        if self.pondering is None:
            self._decide()
        else:
            asyncio.get_running_loop().call_later(self.pondering, self._decide)

    async def check(self, members: Sequence[Member]) -> Mapping[Probe, Outcome]:
        self._may("check")
        wanted = set(members)
        probes = dict.fromkeys(
            probe
            for layout in self.layouts.values()
            for seat in layout.seats
            if seat.member in wanted
            for probe in seat.probes
        )
        outcomes = {
            probe: self.result(
                probe, FAILED if str(probe.target.address) in self.failing else PASSED
            )
            for probe in probes
        }
        self._decide()
        return outcomes

    async def reload(self) -> None:
        self._may("reload")
        self.calls.append("reload")

    async def declare(self, group: str, services: Sequence[DeclaredService]) -> None:
        self._may("declare")
        self.calls.append(f"declare {group} {len(services)}")

    async def announce(self) -> None:
        self._may("announce")
        self.calls.append("announce")

    def warn(self, name: str, facts: Mapping[str, Fact]) -> None:
        self.tell(name, Level.WARNING, **facts)

    def events(self, after: int) -> tuple[Event, ...]:
        return self.ring.after(after)

    def subscribe(self, told: Callable[[Event], None]) -> Callable[[], None]:
        self.listeners.append(told)
        return lambda: self.listeners.remove(told)

    def _may(self, what: str) -> None:
        if what in self.broken:
            raise self.broken[what]


def many(services: int, servers: int) -> Config:
    """A big configuration: every service with servers of its own."""
    return Config(
        services=tuple(
            service(
                f"service-{s}",
                f"10.1.{s // 250}.{s % 250 + 1}",
                *(
                    server(f"server-{s}-{n}", f"10.{2 + s // 250}.{s % 250}.{n + 1}", TCP)
                    for n in range(servers)
                ),
            )
            for s in range(services)
        )
    )


def remembered(outcomes: Sequence[Outcome]) -> History:
    """*outcomes* as the engine keeps them."""
    history = History(20)
    for outcome in outcomes:
        history.add(outcome.at, outcome.result)
    return history


def member(key: ServiceKey, address: str, port: int) -> Member:
    return Member(key, ServerKey(ip_address(address), Port(port)))
