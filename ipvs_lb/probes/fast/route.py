"""What of a probe is the same each time: worked out once."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ipvs_lb.model.checks import HealthCheck, HttpCheck, TcpCheck
from ipvs_lb.model.probe import Probe
from ipvs_lb.probes import http, web
from ipvs_lb.probes.wire import Stopwatch, Wire, wire_of

_MAX_REQUEST = 4096
_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)
_IPV4 = 4
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A probe made ready. `asks` and `request` are None when a connection is all that is wanted.

    `head_decides`: a good head is all that a good answer needs. `mirrors`: the kernel could pick the target's own port for us, and connect us with ourselves.
    `wire`: the socket needs more than the usual settings.
    """

    timeout: float
    family: socket.AddressFamily
    address: tuple[str, int]
    asks: HttpCheck | None
    request: bytes | None
    budget: int
    head_decides: bool
    mirrors: bool
    wire: Wire | None

    def expects(self, status: int) -> bool:
        """Whether an answer with *status* is a good one."""
        asks = self.asks
        return asks is not None and any(low <= status <= high for low, high in asks.expect_codes)

    def new_answer(self) -> http.Answer:
        """An answer of which nothing has come yet."""
        if self.asks is None:
            raise AssertionError("nothing was asked")
        return http.Answer(self.asks)

    def open_socket(self) -> socket.SocketType:
        """A socket to connect with. Raises OSError, or ProbeFailure when the check cannot be carried out."""
        if self.wire is not None:
            return self.wire.open_socket(socket.SOCK_STREAM)
        opened = socket.SocketType(self.family, _KIND)
        # An aborted connection leaves no TIME_WAIT behind, on either side.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE)
        return opened


def route(probe: Probe) -> Route | None:
    """*probe* made ready; None when it is not one of the simple kinds, or cannot be carried out."""
    check, target, method = probe.check, probe.target, probe.check.method
    if not target.port or not _is_simple(check):
        return None
    asks = method if isinstance(method, HttpCheck) else None
    try:
        request = None if asks is None else http.request(asks, target)
    except ValueError:
        return None
    if request is not None and len(request) > _MAX_REQUEST:
        return None
    return Route(
        timeout=check.timeout,
        family=socket.AF_INET if target.address.version == _IPV4 else socket.AF_INET6,
        address=(str(target.address), target.port),
        asks=asks,
        request=request,
        budget=0 if asks is None else web.budget(asks),
        head_decides=asks is not None and asks.body_contains is None,
        mirrors=target.port >= _first_ephemeral_port(),
        wire=_wire(probe),
    )


def _is_simple(check: HealthCheck) -> bool:
    match check.method:
        case TcpCheck() as tcp:
            return not tcp.send and not tcp.expect
        case HttpCheck() as asks:
            return asks.tls is None and asks.body_regex is None
        case _:
            return False


def _wire(probe: Probe) -> Wire | None:
    check = probe.check
    if check.source is None and not check.mark and probe.towards is None:
        return None
    return wire_of(probe, Stopwatch(time.monotonic))


@cache
def _first_ephemeral_port() -> int:
    try:
        return int(_PORT_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
