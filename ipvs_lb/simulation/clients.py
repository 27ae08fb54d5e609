"""Clients in virtual time: each request is led by the table as the kernel's scheduler leads a new connection.

rr, wrr and the hashing schedulers do as in the kernel. Those that go by connections (lc, wlc, sed, nq, lblc and their
like) share by weight, as they do where connections are short.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address

from ipvs_lb.hashing import (
    Slots,
    Weighted,
    destination_slot,
    maglev_slot,
    scheduled_slots,
    source_slot,
)
from ipvs_lb.lab.backends import Condition
from ipvs_lb.lab.traffic import Goal, Request
from ipvs_lb.memory.host import MemoryHost
from ipvs_lb.memory.kernel import MemoryKernel
from ipvs_lb.model.identity import AddressKey, IPAddress, IPProtocol, Port, ServerKey
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.model.table import VirtualService
from ipvs_lb.scenario.layout import Socket
from ipvs_lb.scenario.steps import Pace
from ipvs_lb.scenario.verdicts import Names
from ipvs_lb.simulation.servers import REFUSED, SILENT, Outcome, Servers

_TRIPS = 2  # connecting, and the request
_ASIDE = 0.37  # of a pause: nobody asks in the very moment of a step


class Scheduling:
    """Leads connections as IPVS does."""

    def __init__(self, kernel: MemoryKernel, host: MemoryHost) -> None:
        self._kernel = kernel
        self._host = host
        self._turns: dict[AddressKey, dict[ServerKey, int]] = {}
        self._kept: dict[tuple[AddressKey, IPAddress], tuple[ServerKey, float]] = {}

    def is_here(self, goal: Goal) -> bool:
        """Whether the VIP is on an interface: else nobody answers at all."""
        vip = ip_address(goal.address)
        return any(place.address == vip for place in self._host.state.addresses)

    def server(self, goal: Goal, now: float) -> ServerKey | None:
        """The server that a new connection to *goal* is led to; None: it is refused."""
        found = self._service(goal)
        if found is None:
            return None
        key, virtual = found
        persistence = virtual.service.persistence
        if persistence is None:
            return self._chosen(key, virtual, goal)
        client = (key, ip_address(goal.source))
        server, until = self._kept.get(client, (None, now))
        if server not in virtual.servers or now >= until:
            server = self._chosen(key, virtual, goal)
        if server is not None:
            self._kept[client] = server, now + persistence.timeout
        return server

    def _service(self, goal: Goal) -> tuple[AddressKey, VirtualService] | None:
        protocol = IPProtocol[goal.protocol.upper()]
        for port in (Port(goal.port), Port(0)):
            key = AddressKey(protocol, ip_address(goal.address), port)
            if key in self._kernel.table.services:
                return key, self._kernel.table.services[key]
        return None

    def _chosen(self, key: AddressKey, virtual: VirtualService, goal: Goal) -> ServerKey | None:
        weighted = tuple(Weighted(one, each.weight) for one, each in virtual.servers.items())
        able = {one.key: one.weight for one in weighted if one.weight}
        if not able:
            return None
        client = ip_address(goal.source)
        match virtual.service.scheduler:
            case "sh":
                chosen = _slots("sh", weighted)[source_slot(client)]
            case "dh":
                chosen = _slots("dh", weighted)[destination_slot(key.address)]
            case "mh":
                chosen = _slots("mh", weighted)[maglev_slot(client)]
            case "rr":
                return self._next(key, dict.fromkeys(able, 1))
            case _:
                return self._next(key, able)
        return chosen if chosen in able else None

    def _next(self, key: AddressKey, able: Mapping[ServerKey, int]) -> ServerKey:
        """Smoothly by weight: who has waited longest for what it is due."""
        turns = self._turns.setdefault(key, {})
        for server in list(turns):
            if server not in able:
                del turns[server]
        for server, weight in able.items():
            turns[server] = turns.get(server, 0) + weight
        chosen = max(able, key=lambda server: turns[server])
        turns[chosen] -= sum(able.values())
        return chosen


@lru_cache(maxsize=16)
def _slots(scheduler: str, servers: tuple[Weighted, ...]) -> Slots:
    return scheduled_slots(scheduler, servers)


class Clients:
    """Requests at a steady pace, each service's goals in turn, on the running loop."""

    def __init__(
        self,
        goals: Mapping[str, Sequence[Goal]],
        pace: Pace,
        scheduling: Scheduling,
        servers: Servers,
        names: Names,
    ) -> None:
        self._goals = goals
        self._pace = pace
        self._scheduling = scheduling
        self._servers = servers
        self._names = names
        self._sent: dict[str, list[Request]] = {name: [] for name in goals}

    def requests(self, name: str) -> Sequence[Request]:
        """All that were sent to *name* so far, oldest first."""
        return tuple(self._sent.get(name, ()))

    async def ask(self) -> None:
        """Ask until cancelled."""
        await asyncio.gather(*(self._ask(name, goals) for name, goals in self._goals.items()))

    async def _ask(self, name: str, goals: Sequence[Goal]) -> None:
        loop, pause = asyncio.get_running_loop(), 1 / self._pace.rate
        await asyncio.sleep(pause * _ASIDE)
        for goal in itertools.cycle(goals):
            request = Request(goal, loop.time())
            self._sent[name].append(request)
            server = self._scheduling.server(goal, loop.time())
            outcome = self._outcome(goal, server)
            loop.call_later(outcome.took, self._finish, request, outcome, server)
            await asyncio.sleep(pause)

    def _outcome(self, goal: Goal, server: ServerKey | None) -> Outcome:
        if not self._scheduling.is_here(goal):
            return Outcome(self._pace.timeout, ErrorClass.TIMEOUT)
        if server is None:
            return REFUSED
        return self._servers.exchange(
            server.address,
            Socket(goal.protocol, server.port or goal.port),
            timeout=self._pace.timeout,
            trips=1 if goal.protocol == "udp" else _TRIPS,
            says=lambda condition: _says(goal, condition),
        )

    def _finish(self, request: Request, outcome: Outcome, server: ServerKey | None) -> None:
        request.took = outcome.took
        if outcome.error is ErrorClass.TIMEOUT:
            request.error = f"no answer within {self._pace.timeout:g} s"
        elif outcome.error is not None or server is None:
            request.error = "Connection refused"
        else:
            request.server = self._names[server.address]


def _says(goal: Goal, condition: Condition) -> Outcome | None:
    """What clients get of an application that is not well; one that is ill answers them as before."""
    if condition is Condition.STOPPED:
        return REFUSED
    if condition is Condition.HANGING or goal.protocol == "udp":
        return SILENT
    return None
