"""Servers that are only described: how each is, what a check of it finds, and whether a client is answered.

A lost packet is not sent again within a second: TCP's first retransmission comes after one (RFC 6298).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from ipvs_lb.lab.backends import Condition
from ipvs_lb.model.checks import (
    AgentCheck,
    DnsCheck,
    ExecCheck,
    FileCheck,
    HttpCheck,
    Method,
    PingCheck,
    TcpCheck,
    UdpCheck,
)
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import AgentReport, ErrorClass, Result, Timings
from ipvs_lb.scenario.layout import Machine, Socket
from ipvs_lb.scenario.manners import protocol_of
from ipvs_lb.scenario.steps import Who

TRIP = 0.0005
"""Seconds for a packet to a server and its answer."""
_RESENT = (1.0, 3.0, 7.0)  # seconds after the first SYN, tcp(7) with an initial timeout of 1 s
_ILL = 503


@dataclass(slots=True)
class _State:
    """How a server is: by socket what its application does, and what the way to it does to packets."""

    conditions: dict[Socket, Condition] = field(default_factory=dict)
    is_plugged: bool = True
    loss: float = 0.0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of an exchange: after how many seconds it is answered, or the error that ends it."""

    took: float
    error: ErrorClass | None = None
    detail: str = ""


class Servers:
    """All servers of a scenario. *chance* decides which packets are lost."""

    def __init__(self, machines: Iterable[Machine], chance: Random) -> None:
        self._machines = {machine.address: machine for machine in machines}
        self._states = {address: _State() for address in self._machines}
        self._chance = chance

    def become(self, who: Who, condition: Condition) -> None:
        """The applications of *who* are in *condition* from now on."""
        machine, state = self._machines[who.address], self._states[who.address]
        for socket, services in machine.services.items():
            if services & who.services:
                state.conditions[socket] = condition

    def plug(self, who: Who, *, is_in: bool) -> None:
        """Its cable is in, or is not."""
        self._states[who.address].is_plugged = is_in

    def impair(self, who: Who, *, loss: float | None = None, delay: float | None = None) -> None:
        """Packets to it are lost, or late."""
        state = self._states[who.address]
        state.loss = state.loss if loss is None else loss
        state.delay = state.delay if delay is None else delay

    def checked(self, probe: Probe) -> Result:
        """What one execution of *probe* finds."""
        method = probe.check.method
        if isinstance(method, ExecCheck | FileCheck):
            return Result()  # there is nothing to run it on: the docs say so
        outcome = self.exchange(
            probe.towards or probe.target.address,
            self._socket(probe),
            timeout=probe.check.timeout,
            trips=1 if _is_one_trip(method) else 2,
            says=lambda condition: _says(method, condition),
        )
        if outcome.error is ErrorClass.TIMEOUT and _takes_silence(method):
            return Result(timings=Timings(total=outcome.took))
        return Result(
            error=outcome.error,
            detail=outcome.detail,
            timings=Timings(total=outcome.took),
            agent=AgentReport(up=True)
            if isinstance(method, AgentCheck) and outcome.error is None
            else None,
        )

    def exchange(
        self,
        address: IPAddress,
        socket: Socket | None,
        *,
        timeout: float,
        trips: int,
        says: Callable[[Condition], Outcome | None],
    ) -> Outcome:
        """What comes of *trips* packets to a server and its answers, within *timeout* seconds.

        *says* is what becomes of it in a condition other than being well; None: it is answered all the same.
        """
        state = self._states.get(address)
        silence = Outcome(timeout, ErrorClass.TIMEOUT, f"no answer within {timeout:g} s")
        if state is None or not state.is_plugged:
            return silence
        took = 0.0
        for _ in range(trips):
            arrival = self._arrival(state, socket, timeout)
            if arrival is None:
                return silence
            took += arrival + state.delay + TRIP
        if took > timeout:
            return silence
        condition = state.conditions.get(socket, Condition.WELL) if socket else Condition.WELL
        told = says(condition) if condition is not Condition.WELL else None
        if told is None:
            return Outcome(took)
        return (
            silence if told.error is ErrorClass.TIMEOUT else Outcome(took, told.error, told.detail)
        )

    def _socket(self, probe: Probe) -> Socket | None:
        """Where a probe arrives; through a VIP that may be another port of the server."""
        protocol = protocol_of(probe.check.method, str(getattr(probe.through, "protocol", "tcp")))
        if protocol is None:
            return None
        wanted = Socket(protocol, probe.target.port)
        machine = self._machines.get(probe.towards) if probe.towards is not None else None
        there = [one for one in machine.services if one.protocol == protocol] if machine else []
        return wanted if not there or wanted in there else there[0]

    def _arrival(self, state: _State, socket: Socket | None, timeout: float) -> float | None:
        """The seconds until one of the tries of a packet arrives; None: none does in time.

        Nobody sends a datagram or a ping again.
        """
        resent = () if socket is None or socket.protocol == "udp" else _RESENT
        for sent in (0.0, *(one for one in resent if one < timeout)):
            if self._chance.random() >= state.loss:
                return sent
        return None


REFUSED = Outcome(0.0, ErrorClass.REFUSED, "connecting: Connection refused")
SILENT = Outcome(0.0, ErrorClass.TIMEOUT)


def _only_connects(method: Method) -> bool:
    return isinstance(method, TcpCheck) and method.send is None and method.expect is None


def _takes_silence(method: Method) -> bool:
    """Whether no answer is as good as any: many UDP services answer nobody they do not know."""
    return isinstance(method, UdpCheck) and method.expect is None


def _is_one_trip(method: Method) -> bool:
    return isinstance(method, UdpCheck | DnsCheck | PingCheck) or _only_connects(method)


def _says(method: Method, condition: Condition) -> Outcome | None:
    """What a check finds of an application that is not well; None: that it is."""
    if condition is Condition.STOPPED:
        return REFUSED
    if condition is Condition.HANGING:
        return None if _only_connects(method) else SILENT
    if isinstance(method, UdpCheck | DnsCheck):
        return SILENT
    if isinstance(method, HttpCheck) and not _expects(method, _ILL):
        return Outcome(0.0, ErrorClass.STATUS, f"status {_ILL}")
    return None


def _expects(method: HttpCheck, code: int) -> bool:
    return any(first <= code <= last for first, last in method.expect_codes)


class SimulatedProber:
    """Implements `ipvs_lb.ports.Prober` on *servers*."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        """Begin one execution; the returned function gives it up."""
        result = self._servers.checked(probe)
        loop = asyncio.get_running_loop()
        return loop.call_later(result.timings.total, done, result).cancel
