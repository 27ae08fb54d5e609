"""Which services and servers are shown, in which order, and which of them are in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipvs_lb.cli.top.readings import Identity, Rates, Reading, identity_of
from ipvs_lb.cli.top.view import Mode, Sight, Sort, View

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Server, Service

WORST_FIRST = (
    "down",
    "unknown",
    "draining",
    "drained",
    "idle",
    "standby",
    "disabled",
    "foreign",
    "up",
)
MAX_SERVERS = 500
"""Servers whose checks are asked for at once; services further down the screen that are beyond are not asked about."""
TROUBLE = frozenset({"down", "unknown", "draining", "drained", "idle"})
"""States somebody should look at, as on the status page."""


@dataclass(frozen=True, slots=True)
class Row:
    """A server of a service; without `server` the service's own line."""

    service: Service
    server: Server | None = None

    @property
    def identity(self) -> Identity:
        """Which one it is, at every reading."""
        if self.server is None:
            return Identity(self.service["service"])
        return identity_of(self.server)


def rows(reading: Reading, view: View) -> list[Row]:
    """The services with something to show, each followed by its servers."""
    words = view.filter.lower().split()
    shown = [
        (service, servers)
        for service in reading.status["services"]
        for servers in [[one for one in service["servers"] if _is_shown(service, one, words, view)]]
        if servers or _is_shown_alone(service, words, view)
    ]
    return [
        row
        for service, servers in _sorted(shown, reading.rates, view)
        for row in (Row(service), *(Row(service, server) for server in servers))
    ]


def _is_shown(service: Service, server: Server, words: Sequence[str], view: View) -> bool:
    if view.only_trouble and not is_trouble(server):
        return False
    return not words or _has(words, service, server["name"], identity_of(server).place, server)


def _is_shown_alone(service: Service, words: Sequence[str], view: View) -> bool:
    """Whether a service is to be seen that has no server to show."""
    alone = _fails(service) if view.only_trouble else not service["servers"]
    return alone and _has(words, service)


def _has(
    words: Sequence[str],
    service: Service,
    name: str | None = None,
    place: str = "",
    server: Server | None = None,
) -> bool:
    state = "" if server is None else server["state"]
    parts = (service["name"] or "", service["service"], name or "", place, state)
    text = " ".join(parts).lower()
    return all(word in text for word in words)


def is_trouble(server: Server) -> bool:
    """Whether somebody should look at *server*."""
    return server["state"] in TROUBLE or is_unlike_kernel(server)


def is_unlike_kernel(server: Server) -> bool:
    """Whether the kernel has another weight than is wanted; of foreign ones none is wanted."""
    return server["rule"] is not None and server["weight"] != server["kernel_weight"]


def _fails(service: Service) -> bool:
    ours = service["owner"] == "ours"
    return ours and (not service["serves"] or service["panicking"] or service["quorum_lost"])


_Shown = tuple["Service", list["Server"]]
_Key = tuple[float, str]


def _sorted(shown: list[_Shown], rates: Mapping[Identity, Rates], view: View) -> Sequence[_Shown]:
    """Servers within their service, services by the foremost of theirs; those without any come last."""
    if view.sort is Sort.CONFIGURED:
        ordered = [(service, servers[:: _step(view)]) for service, servers in shown]
        return ordered[:: _step(view)]
    key = _key(view.sort, rates)
    inside = [
        (service, sorted(servers, key=key, reverse=view.backwards)) for service, servers in shown
    ]

    def of_service(one: _Shown) -> _Key:
        service, servers = one
        if view.sort is Sort.NAME:
            return 0.0, service["name"] or service["service"]
        return key(servers[0])

    full = sorted((one for one in inside if one[1]), key=of_service, reverse=view.backwards)
    return [*full, *(one for one in inside if not one[1])]


def _step(view: View) -> int:
    return -1 if view.backwards else 1


def _key(sort: Sort, rates: Mapping[Identity, Rates]) -> Callable[[Server], _Key]:
    def key(server: Server) -> _Key:
        name = server["name"] or server["address"]
        return _value(sort, server, rates), name

    return key


def _value(sort: Sort, server: Server, rates: Mapping[Identity, Rates]) -> float:
    """Low comes first; what is not known comes last."""
    found: float | None = 0.0
    if sort is Sort.STATE:
        state = server["state"]
        return WORST_FIRST.index(state) if state in WORST_FIRST else len(WORST_FIRST)
    if sort is Sort.ACTIVE:
        found = server["active_connections"]
    elif sort is Sort.RATE:
        rate = rates.get(identity_of(server))
        found = None if rate is None else rate.connections
    elif sort is Sort.SINCE:
        found = server["since"]
    return 1.0 if found is None else -found


def settled(view: View, shown: Sequence[Row], height: int) -> View:
    """*view* with a row selected that is there, and in sight within *height* rows."""
    if not shown:
        return replace(view, first=0, position=0)
    position = _position(view, shown)
    height = max(1, height)
    first = min(view.first, max(0, len(shown) - height))
    first = max(min(first, position), position - height + 1)
    return replace(view, selected=shown[position].identity, position=position, first=first)


def _position(view: View, shown: Sequence[Row]) -> int:
    """Where the selected row is now; where it was, when it is not there any more."""
    if view.selected is None:  # the first server there is
        return next((n for n, row in enumerate(shown) if row.server is not None), 0)
    for number, row in enumerate(shown):
        if row.identity == view.selected:
            return number
    return min(view.position, len(shown) - 1)


def sight(view: View, shown: Sequence[Row], height: int) -> Sight:
    """Whose checks are to be asked for, with *height* rows in sight."""
    row = next((row for row in shown if row.identity == view.selected), None)
    if view.mode is Mode.DETAIL and row is not None and row.service["owner"] == "ours":
        return Sight(server=row.identity)
    seen = {row.service["service"]: row.service for row in shown[view.first : view.first + height]}
    chosen, left = [], MAX_SERVERS
    for name, service in seen.items():
        size = len(service["servers"])
        if service["owner"] == "ours" and 0 < size <= left:
            chosen.append(name)
            left -= size
    return Sight(services=tuple(chosen))
