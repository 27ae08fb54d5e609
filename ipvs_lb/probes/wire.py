"""What every probe method is given, what it returns, and the sockets it may open."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import AgentReport, ErrorClass, Target, Timings
from ipvs_lb.probes.failures import ProbeFailure

_IP_BIND_ADDRESS_NO_PORT = 24  # include/uapi/linux/in.h
_IP_RECVERR = 11  # include/uapi/linux/in.h
_IPV6_RECVERR = 25  # include/uapi/linux/in6.h
_IPV4 = 4
_ANY_PORT = 9  # discard; a datagram socket that connects sends nothing
_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Stopwatch:
    """When each phase of one probe was over, and what it is doing now."""

    clock: Callable[[], float]
    started: float = field(init=False)
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    doing: str = "starting"

    def __post_init__(self) -> None:
        self.started = self.clock()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.started

    def timings(self) -> Timings:
        """All phases so far, with now as the end."""
        return Timings(
            connect=self.connect,
            tls=self.tls,
            first_byte=self.first_byte,
            total=self.elapsed(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One probe's way to its target. `timeout` is that of the whole probe.

    It comes from `source`, else from the gateway's own address `towards` a host that is not the target.
    """

    target: Target
    timeout: float
    watch: Stopwatch
    source: IPAddress | None = None
    mark: int = 0
    towards: IPAddress | None = None

    def open_socket(self, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        """A non-blocking socket of the target's family, marked and bound as the check asks.

        Raises ProbeFailure when the source address is of the other family, OSError as the kernel does.
        """
        family = socket.AF_INET if self.target.address.version == _IPV4 else socket.AF_INET6
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            self._prepare(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    def _prepare(self, opened: socket.socket) -> None:
        if self.mark:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
        if opened.type == socket.SOCK_STREAM:
            # An aborted connection leaves no TIME_WAIT behind, on either side.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE)
        if opened.type == socket.SOCK_STREAM and opened.proto != socket.IPPROTO_SCTP:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            _report_icmp_errors(opened)
        source = self.source if self.towards is None else self._facing(self.towards)
        if source is None and opened.proto == socket.IPPROTO_SCTP:
            source = _source_towards(self.target.address, ErrorClass.UNREACHABLE, self.mark)
        if source is not None:
            self._bind(opened, source)

    def _facing(self, host: IPAddress) -> IPAddress:
        """The check's source, else our address on the way to *host*, asked each time: routes and addresses change.

        A packet from the target's own address would be answered by the server to itself. Having no way to the target,
        from where IPVS would send the packet to *host*, says nothing about the host.
        """
        _source_towards(self.target.address, ErrorClass.LOCAL)
        if self.source is not None:
            return self.source
        source = _source_towards(host, ErrorClass.UNREACHABLE)
        if source == self.target.address:
            what = f"the only address towards {host} is {source} itself: the check needs a source"
            raise ProbeFailure(ErrorClass.CHECK, what)
        return source

    def _bind(self, opened: socket.socket, source: IPAddress) -> None:
        if source.version != self.target.address.version:
            raise ProbeFailure(
                ErrorClass.CHECK,
                f"source {source} and target {self.target.address} differ in family",
            )
        opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        opened.bind((str(source), 0))

    @property
    def destination(self) -> tuple[str, int]:
        """The target as the socket calls want it."""
        return (str(self.target.address), self.target.port)


def wire_of(probe: Probe, watch: Stopwatch) -> Wire:
    """The way of *probe*, timed by *watch*."""
    check = probe.check
    return Wire(
        target=probe.target,
        timeout=check.timeout,
        watch=watch,
        source=check.source,
        mark=check.mark,
        towards=probe.towards,
    )


def _source_towards(host: IPAddress, trouble: ErrorClass, mark: int = 0) -> IPAddress:
    """The address that this machine's packets to *host*, with *mark*, have; nothing is sent to find out.

    Raises ProbeFailure of class *trouble* where there is no way to *host*.
    """
    family = socket.AF_INET if host.version == _IPV4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        if mark:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        try:
            asked.connect((str(host), _ANY_PORT))
        except OSError as error:
            if error.errno not in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
                raise
            raise ProbeFailure(trouble, f"no route to {host}") from error
        return ip_address(asked.getsockname()[0].partition("%")[0])


def _report_icmp_errors(opened: socket.socket) -> None:
    """Have "host unreachable" reported too, which Linux keeps from all but TCP sockets otherwise."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        return
    opened.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a probe that passed found out besides."""

    detail: str = ""
    weight: int | None = None
    agent: AgentReport | None = None
