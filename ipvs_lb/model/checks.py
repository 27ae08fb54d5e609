"""Health checks: what to test on a real server, how often, and how many results decide.

A check's identity is its content: two equal checks of one target are one probe.
Times are seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ipvs_lb.model.identity import IPAddress, Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How TLS is spoken: SNI name (None: the Host header's or none), verification, own CA and client certificate."""

    server_name: str | None = None
    verify: bool = False
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """A connection is accepted; with `send` and `expect`, the answer contains the expected bytes."""

    send: bytes | None = None
    expect: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """A request is answered with an expected status code and, if asked for, an expected body.

    `tls` set makes it an HTTPS check. `host` None sends the target's address. `body_contains` and `body_regex` look at
    the first `body_limit` bytes.
    """

    method: str = "GET"
    path: str = "/"
    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    http_version: str = "1.1"
    expect_codes: tuple[tuple[int, int], ...] = ((200, 200),)  # inclusive ranges, sorted
    body_contains: str | None = None
    body_regex: str | None = None
    body_limit: int = 65536
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCheck:
    """A TLS handshake completes; `min_days` days at least are left until the certificate expires."""

    tls: Tls = Tls()  # frozen, so sharing one is safe
    min_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpCheck:
    """A datagram is not refused (ICMP unreachable); with `expect`, the answer equals it under `mask` (1 bits count)."""

    payload: bytes = b""
    expect: bytes | None = None
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class SctpCheck:
    """An SCTP association is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsCheck:
    """A DNS query over UDP is answered without error, and contains `answer` when given."""

    name: str = "."
    record_type: str = "SOA"
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class PingCheck:
    """An ICMP or ICMPv6 echo is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpCheck:
    """An SMTP greeting (220) and, after EHLO or HELO `helo`, a 250."""

    helo: str = "ipvs-lb"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCheck:
    """grpc.health.v1.Health/Check answers SERVING for `service` (empty: the server as a whole)."""

    service: str = ""
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisCheck:
    """PING is answered with PONG (or an authentication demand); with `role`, INFO names it (master, slave)."""

    role: str | None = None


@dataclass(frozen=True, slots=True)
class MysqlCheck:
    """A MySQL or MariaDB server greets (protocol 10) and does not refuse the connection."""


@dataclass(frozen=True, slots=True)
class PostgresCheck:
    """A PostgreSQL server answers an SSLRequest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecCheck:
    """A program exits with 0; with `weight`, its standard output is an absolute weight. Never through a shell."""

    command: tuple[str, ...]
    user: str = "nobody"
    weight: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """A file exists; with `weight`, it contains an absolute weight."""

    path: str
    weight: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCheck:
    """The server itself says up, down, drain, maint, ready or a weight in percent (HAProxy's agent-check)."""

    send: bytes = b""


Method = (
    TcpCheck
    | HttpCheck
    | TlsCheck
    | UdpCheck
    | SctpCheck
    | DnsCheck
    | PingCheck
    | SmtpCheck
    | GrpcCheck
    | RedisCheck
    | MysqlCheck
    | PostgresCheck
    | ExecCheck
    | FileCheck
    | AgentCheck
)


def method_name(method: Method) -> str:
    """The word for *method* in configuration, metrics and messages: `tcp`, `https`."""
    if isinstance(method, HttpCheck) and method.tls is not None:
        return "https"
    return type(method).__name__.removesuffix("Check").lower()


class Via(enum.StrEnum):
    """The way a probe takes: straight to the server, or to the VIP through the forwarding path."""

    DIRECT = "direct"
    VIP = "vip"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A method with its timing, thresholds and target.

    `interval` between starts of two probes; `fast_interval` while a state is changing; `timeout` of one probe as a
    whole; `rise` successes bring a server up, `fall` failures take it down. `address` and `port` override the
    server's own; `source` binds; `mark` sets SO_MARK.
    """

    method: Method
    interval: float = 5.0
    fast_interval: float = 1.0
    timeout: float = 3.0
    rise: int = 2
    fall: int = 3
    address: IPAddress | None = None
    port: Port | None = None
    source: IPAddress | None = None
    mark: int = 0
    via: Via = Via.DIRECT
