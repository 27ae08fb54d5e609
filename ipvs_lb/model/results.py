"""What a probe was sent to, and what came of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ipvs_lb.model.identity import NO_PORT, IPAddress, Port, endpoint

MAX_DETAIL = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where a probe goes; port 0 where the check needs none or none is known."""

    address: IPAddress
    port: Port = NO_PORT

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


class ErrorClass(enum.StrEnum):
    """Why a probe failed. `LOCAL` and `CHECK` say nothing about the server: see `blames_server`."""

    REFUSED = "refused"  # nothing listens there
    TIMEOUT = "timeout"  # no verdict within the check's timeout
    RESET = "reset"  # the connection was aborted by the other side
    CLOSED = "closed"  # the connection ended before the answer did
    UNREACHABLE = "unreachable"  # no way to the host, or no such host
    TLS = "tls"  # the handshake failed, or the certificate is not acceptable
    STATUS = "status"  # an answer that says no
    BODY = "body"  # an answer without the expected content
    DNS = "dns"  # a DNS answer that is an error
    PROTOCOL = "protocol"  # not the protocol that was expected
    TOO_LARGE = "too_large"  # more than a well-behaved server sends
    EXEC = "exec"  # a program says no, or was killed
    FILE = "file"  # a file is not there or cannot be read
    WEIGHT = "weight"  # no weight where one was expected
    AGENT_DOWN = "agent_down"  # the server says itself that it is down
    LOCAL = "local"  # this machine could not probe: out of ports, files or rights
    CHECK = "check"  # the check itself cannot be carried out as it is configured

    @property
    def blames_server(self) -> bool:
        """Whether the failure is evidence against the server, not against this machine or the config."""
        return self not in {ErrorClass.LOCAL, ErrorClass.CHECK}


class AgentMode(enum.StrEnum):
    """What a server's agent asks to be done with the server, apart from being up or down."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """What a server's agent said of it; None where it said nothing.

    `percent` (0 to 1000) scales the configured weight.
    """

    up: bool | None = None
    mode: AgentMode | None = None
    percent: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds from the start of the probe until each phase was over; None where it was not reached."""

    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one probe.

    `error` is set exactly when it did not pass. `detail` is one printable line of at most `MAX_DETAIL` characters.
    `weight` (0 to 65535) is absolute, from an exec or file check.
    """

    error: ErrorClass | None = None
    detail: str = ""
    timings: Timings = Timings()  # frozen, so sharing one is safe
    weight: int | None = None
    agent: AgentReport | None = None

    @property
    def passed(self) -> bool:
        """Whether the probe succeeded."""
        return self.error is None
