"""A daemon on fakes and virtual time: what tests of the balancer share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.engine.groups import Group
from ipvs_lb.engine.parts import Parts
from ipvs_lb.model.checks import HealthCheck, TcpCheck
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService, HealthPolicy
from ipvs_lb.model.host import HostState, Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.model.settings import Service
from ipvs_lb.model.table import Table
from ipvs_lb.simulation.clock import Inline
from tests.fake_host import FakeHost
from tests.fake_kernel import FakeKernel
from tests.fake_prober import FakeProber
from tests.memory_store import MemoryStore

START = 1_700_000_000.0
VIP = ip_address("10.0.0.16")
WEB = AddressKey(IPProtocol.TCP, VIP, Port(80))
TCP = HealthCheck(method=TcpCheck(), interval=5, fast_interval=1, timeout=3, rise=2, fall=3)
REFUSED = Result(error=ErrorClass.REFUSED, detail="nothing listens there")
PASSED = Result()


class SlowReads(Inline):
    """As `Inline`, but whoever reads a whole table is told *seconds* later what it was in the beginning."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.under_way = 0

    def submit(self, fn, /, *args, **kwargs):
        done = super().submit(fn, *args, **kwargs)
        if getattr(fn, "__func__", None) is not FakeKernel.read:
            return done
        future: Future[Any] = Future()
        self.under_way += 1

        def tell() -> None:
            self.under_way -= 1
            future.set_result(done.result())

        asyncio.get_running_loop().call_later(self._seconds, tell)
        return future


def server(last, **settings):
    settings.setdefault("checks", (TCP,))
    return DeclaredServer(name=f"s{last}", address=ip_address(f"10.0.0.{last}"), **settings)


def web(*last_bytes, policy=None, servers=(), ports=(80,), scheduler="rr"):
    return DeclaredService(
        name="web",
        keys=tuple(AddressKey(IPProtocol.TCP, VIP, Port(port)) for port in ports),
        service=Service(scheduler=scheduler),
        servers=(*map(server, last_bytes), *servers),
        policy=policy or HealthPolicy(),
        vips=(Vip(address=VIP),),
    )


class World:
    """The outside of a daemon, and the daemon once it is `up`."""

    def __init__(self, *services: DeclaredService, **settings) -> None:
        self.config = Config(services=services, **settings)
        self.problem: Exception | None = None
        self.kernel = FakeKernel()
        self.host = FakeHost(HostState(interfaces=frozenset({"lo"})))
        self.store = MemoryStore()
        self.prober = FakeProber()
        self.offset = START
        self.threads: Executor = Inline()
        self.declared: Mapping[str, Group] | None = None
        self._balancer: Balancer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def balancer(self) -> Balancer:
        assert self._balancer is not None
        return self._balancer

    def load(self) -> Config:
        if self.problem is not None:
            raise self.problem
        return self.config

    async def groups(self, _: Config) -> Mapping[str, Group] | None:
        declared, self.declared = self.declared, None
        return declared

    async def up(self, seconds: float = 2.0) -> Balancer:
        """Start the daemon and let *seconds* pass."""
        loop = asyncio.get_running_loop()
        self._balancer = Balancer(
            Parts(
                load=self.load,
                origin="lb.yaml",
                kernel=self.kernel,
                host=self.host,
                store=self.store,
                records=self.store,
                prober=self.prober,
                clock=lambda: self.offset + loop.time(),
                threads=self.threads,
                groups=self.groups,
            )
        )
        await self.balancer.start()
        self._task = loop.create_task(self.balancer.run())
        await asyncio.sleep(seconds)
        return self.balancer

    async def down(self) -> None:
        """Stop the daemon; what it wrote down stays."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def reload(self, *services: DeclaredService, **settings) -> None:
        self.config = Config(services=services, **settings)
        await self.balancer.reload()
        await asyncio.sleep(0.1)

    def answer(self, last: int, result: Result) -> None:
        """From now on the probes of 10.0.0.*last* end with *result*."""
        for probe in self.balancer.snapshot().probes:
            if int(probe.target.address) & 255 == last:
                self.prober.results[probe] = result

    def weights(self, key=WEB) -> dict[int, int]:
        """What is in the kernel: weight by the last byte of the address."""
        virtual = self.kernel.table.services.get(key)
        servers = {} if virtual is None else virtual.servers
        return {int(key.address) & 255: settings.weight for key, settings in servers.items()}

    def names(self, *kinds: str) -> list[str]:
        """The names of the events so far, or of those whose name starts like one of *kinds*."""
        return [e.name for e in self.balancer.events(0) if not kinds or e.name.startswith(kinds)]

    async def until(self, name: str) -> None:
        """Let time pass until an event of that *name* has been told."""
        while name not in self.names():  # noqa: ASYNC110  # virtual time
            await asyncio.sleep(0.01)

    def meddle(self, change: Callable[[Table], Table]) -> None:
        """Somebody else changes the kernel's table."""
        self.kernel.table = change(self.kernel.table)

    def without(self, last: int) -> None:
        """Somebody else removes a server."""

        def change(table: Table) -> Table:
            virtual = table.services[WEB]
            left = {k: v for k, v in virtual.servers.items() if int(k.address) & 255 != last}
            return replace(table, services={**table.services, WEB: replace(virtual, servers=left)})

        self.meddle(change)
