"""What the daemon has told, with what follows from it: rates from two readings, and the last checks as a strip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from ipvs_lb.cli.daemon_text import place
from ipvs_lb.model.results import ErrorClass

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Explained, ResultView, Server, Status, Traffic

TICKS = 20
"""Results in a strip at most."""


class Identity(NamedTuple):
    """A server of a service; without `place` the service itself."""

    service: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Per second, on average between two readings."""

    connections: float
    in_bytes: float
    out_bytes: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer, with the rates since the one before; no rate where that had no counters, or higher ones."""

    status: Status
    rates: Mapping[Identity, Rates] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gone:
    """The daemon does not answer."""

    error: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Servers in sight with their checks. `at`: the daemon's time."""

    at: float
    servers: Mapping[Identity, Explained]


@dataclass(frozen=True, slots=True)
class Said:
    """What came of an order."""

    text: str
    failed: bool = False


News = Gone | Explanation | Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that is known of the daemon. `gone_since` is on the caller's clock."""

    reading: Reading | None = None
    explanation: Explanation | None = None
    gone: Gone | None = None
    gone_since: float = 0.0
    said: Said | None = None

    def after_status(self, status: Status) -> Known:
        """The daemon answered."""
        before = None if self.reading is None else self.reading.status
        return replace(self, reading=reading(before, status), gone=None)

    def after(self, news: News, now: float) -> Known:
        """With *news*, which came at *now*."""
        match news:
            case Explanation():
                return replace(self, explanation=news)
            case Said():
                return replace(self, said=news)
            case Gone():
                since = now if self.gone is None else self.gone_since
                return replace(self, gone=news, gone_since=since)

    def without_said(self) -> Known:
        """What was said has been read."""
        return replace(self, said=None)

    def strip(self, identity: Identity) -> str:
        """The last checks of a server, oldest first; empty where they are not known."""
        found = self.explanation.servers.get(identity) if self.explanation else None
        return "" if found is None else strip(found)


def identity_of(server: Server) -> Identity:
    """Which one *server* is."""
    return Identity(server["service"], place(server))


def reading(before: Status | None, status: Status) -> Reading:
    """*status* with its rates since *before*."""
    passed = 0.0 if before is None else status["at"] - before["at"]
    if before is None or passed <= 0:
        return Reading(status)
    earlier = dict(_counters(before))
    found = {
        identity: rates
        for identity, traffic in _counters(status)
        if identity in earlier and (rates := _rates(earlier[identity], traffic, passed))
    }
    return Reading(status, found)


def _counters(status: Status) -> Iterator[tuple[Identity, Traffic]]:
    for service in status["services"]:
        if service["traffic"] is not None:
            yield Identity(service["service"]), service["traffic"]
        for server in service["servers"]:
            if server["traffic"] is not None:
                yield identity_of(server), server["traffic"]


def _rates(before: Traffic, now: Traffic, passed: float) -> Rates | None:
    connections = now["connections"] - before["connections"]
    in_bytes = now["in_bytes"] - before["in_bytes"]
    out_bytes = now["out_bytes"] - before["out_bytes"]
    if min(connections, in_bytes, out_bytes) < 0:  # zeroed, or made anew
        return None
    return Rates(
        connections=connections / passed, in_bytes=in_bytes / passed, out_bytes=out_bytes / passed
    )


def strip(explained: Explained) -> str:
    """`+` passed, `-` failed, `?` a failure that is none of the server's; the newest is the last."""
    results = [result for check in explained["checks"] for result in check["results"]]
    last = sorted(results, key=lambda result: result["at"])[-TICKS:]
    return "".join(map(_sign, last))


def _sign(result: ResultView) -> str:
    if result["passed"]:
        return "+"
    try:
        blames = ErrorClass(str(result["error"])).blames_server
    except ValueError:  # of a newer daemon
        blames = True
    return "-" if blames else "?"
