"""A scenario's stage in network namespaces: hosts with the configuration's addresses, and the daemon on the gateway."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import assert_never

from ipvs_lb.errors import LabError
from ipvs_lb.lab.backends import Backend, Backends, Condition
from ipvs_lb.lab.daemon import LabDaemon
from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.traffic import Goal, Request, Traffic
from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.table import Table
from ipvs_lb.netlink import NetlinkKernel
from ipvs_lb.scenario.building import LAN, Lab, build
from ipvs_lb.scenario.layout import Layout, layout
from ipvs_lb.scenario.play import change
from ipvs_lb.scenario.reading import playable_text
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
    Who,
)

_ENDING = 20.0


class LabServers:
    """Implements `ipvs_lb.scenario.play.Servers` on the hosts of a lab."""

    def __init__(self, plan: Layout, lab: Lab, backends: Backends) -> None:
        self._hosts = lab.servers
        self._listening = tuple(_listen(plan, lab, backends))
        self._impaired: dict[IPAddress, tuple[float, float]] = {}

    def conditions(self, address: IPAddress) -> frozenset[str]:
        """How the applications of a server are."""
        return frozenset(one.condition.value for own, _, one in self._listening if own == address)

    def become(self, who: Who, condition: Condition) -> None:
        """The applications of *who* are in *condition* from now on."""
        for address, services, backend in self._listening:
            if address == who.address and services & who.services:
                backend.condition = condition

    def plug(self, who: Who, *, is_in: bool) -> None:
        """Its cable is in, or is not."""
        host = self._hosts[who.address]
        (host.put_back if is_in else host.pull)(LAN)

    def impair(self, who: Who, *, loss: float | None = None, delay: float | None = None) -> None:
        """Packets to it are lost, or late."""
        lost, late = self._impaired.get(who.address, (0.0, 0.0))
        lost, late = lost if loss is None else loss, late if delay is None else delay
        self._hosts[who.address].impair(LAN, loss=lost, delay=late)
        self._impaired[who.address] = lost, late


class LabStage:
    """Implements `ipvs_lb.scenario.play.Stage`; `opened` builds and ends it."""

    def __init__(self, scenario: Scenario, folder: Path, stack: ExitStack) -> None:
        self._scenario = scenario
        self._stack = stack
        plan = layout(list(scenario.configs.values()))
        self.goals: Mapping[str, Sequence[Goal]] = plan.goals
        self.names = {machine.address: machine.name for machine in plan.machines}
        self._lab = build(stack.enter_context(Network()), plan)
        self._servers = LabServers(plan, self._lab, stack.enter_context(Backends()))
        self.daemon = LabDaemon(self._lab.gateway, folder, None)
        self._life = stack.enter_context(ExitStack())
        self._process: subprocess.Popen[bytes] | None = None
        self._config = Config()
        self._kernel = stack.enter_context(self._lab.gateway.call(NetlinkKernel().open))
        self._start = 0.0
        self._traffic: Traffic | None = None

    def begin(self) -> None:
        """Start the daemon, and with it the time and the clients. Raises LabError."""
        self._load(self._scenario.config)
        self._start_daemon()
        self._start = time.monotonic()
        self._stack.enter_context(self.asked(self._scenario.watched))

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The client, the gateway and every server, by name."""
        servers = {self.names[address]: host for address, host in self._lab.servers.items()}
        return {**servers, "client": self._lab.client, "gateway": self._lab.gateway}

    def conditions(self, name: str) -> frozenset[str]:
        """How the applications of the server *name* are."""
        own = (address for address, called in self.names.items() if called == name)
        return frozenset().union(*map(self._servers.conditions, own))

    @contextmanager
    def asked(self, services: Iterable[str]) -> Iterator[None]:
        """Clients ask *services*, and nothing else, while the block lasts."""
        goals = {name: self.goals[name] for name in sorted(services)}
        if not goals:
            yield
            return
        client, pace = self._lab.client, self._scenario.pace
        with Traffic(client, goals, rate=pace.rate, timeout=pace.timeout, clock=self.now) as asking:
            self._traffic = asking
            yield
        self._traffic = None

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start

    def wait(self, until: float) -> None:
        """Sleep."""
        time.sleep(max(0.0, until - self.now()))

    def look(self) -> tuple[Config, Table]:
        """The configuration in force, and the kernel's table now."""
        return self._config, self._kernel.read()

    def requests(self, service: str) -> Sequence[Request]:
        """Every request of a service's clients so far."""
        return () if self._traffic is None else self._traffic.requests(service)

    def do(self, action: Action) -> None:
        """Have something happen. Raises LBError when it cannot."""
        match action:
            case Become() | Plug() | Lose() | Delay():
                change(self._servers, action)
            case Daemon(life):
                self._live(life)
            case Reload(file):
                self._load(file)
                self.daemon.ask("reload")
            case Order(words, who):
                word, *terms = words
                servers = [f"{service}/{who.address}" for service in sorted(who.services)]
                self.daemon.ask(word, *servers, *terms)
            case Run(command):
                self._lab.gateway.run(command)
            case _:
                assert_never(action)

    def _load(self, file: Path) -> None:
        text = playable_text(file, self._scenario.timing)
        self.daemon.config.write_text(text, "utf-8")
        self._config = self._scenario.configs[file]

    def _live(self, life: Life) -> None:
        if life is Life.START:
            self._start_daemon()
            return
        self._end_daemon(signal.SIGKILL if life is Life.KILL else signal.SIGTERM)
        if life is Life.RESTART:
            self._start_daemon()

    def _start_daemon(self) -> None:
        if self._process is not None:
            raise LabError("the daemon is running already")
        self._process = self._life.enter_context(self.daemon.running())

    def _end_daemon(self, number: signal.Signals) -> None:
        if self._process is None:
            raise LabError("the daemon is not running")
        self._process.send_signal(number)
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            raise LabError(f"the daemon does not end within {_ENDING:g} s") from None
        self._process = None
        self._life.close()


_Listening = tuple[IPAddress, frozenset[str], Backend]


def _listen(plan: Layout, lab: Lab, backends: Backends) -> Iterator[_Listening]:
    """Every back end, with the server it is on and the services it is of; dr and tunnel servers answer on VIPs too."""
    for machine in plan.machines:
        host = lab.servers[machine.address]
        for socket, manner in machine.manners.items():
            for address in (machine.address, *machine.vips):
                backend = backends.add(host, socket.protocol, str(address), socket.port, manner)
                yield machine.address, machine.services[socket], backend


@contextmanager
def opened(scenario: Scenario) -> Iterator[LabStage]:
    """The stage of *scenario*, begun. Raises LabError when it cannot be built."""
    with tempfile.TemporaryDirectory(prefix="ipvs-lb-") as folder, ExitStack() as stack:
        stage = LabStage(scenario, Path(folder), stack)
        stage.begin()
        yield stage
