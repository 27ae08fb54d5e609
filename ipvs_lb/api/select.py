"""Which servers an operator means: names, addresses and wildcards to members.

A pattern is `server`, `service/server`, `address` or `address:port` (`[address]:port`). A server goes by its name, its
address, or both with port; a service by its name or by its text (`tcp/10.0.0.16:80`). What names something exactly
means that alone; otherwise `*`, `?` and `[...]` are wildcards. Letters' case counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase, translate
from ipaddress import ip_address
from itertools import chain

from ipvs_lb.model.identity import ServiceKey, parse_endpoint
from ipvs_lb.policy import Member

_WILD = frozenset("*?[")
_OF_ADDRESSES = frozenset("0123456789abcdef.:[]*?!-")
_COMPARED = 2000
"""How many names are looked at for a suggestion: comparing costs far more than matching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One virtual service with its servers, each with its name."""

    name: str
    key: ServiceKey
    servers: Sequence[tuple[str, Member]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The members that were meant, in the order of the listings, and a sentence for each pattern that means nothing."""

    members: tuple[Member, ...]
    unknown: tuple[str, ...]


def select(
    listings: Sequence[Listing], patterns: Sequence[str], *, services: Sequence[str] = ()
) -> Selection:
    """The members that any of *patterns* means, within the services that any of *services* means; none: all."""
    within = [one for one in listings if not services or _is_meant(one, services)]
    unknown = [_no_service(listings, name) for name in services if not _any(listings, name)]
    chosen = set() if patterns else {member for one in within for _, member in one.servers}
    if not unknown:
        for pattern in patterns:
            found = _matching(within, pattern)
            if not found:
                unknown.append(_no_server(within, pattern))
            chosen |= found
    ordered = (member for one in within for _, member in one.servers if member in chosen)
    return Selection(members=tuple(ordered), unknown=tuple(unknown))


def _any(listings: Sequence[Listing], service: str) -> bool:
    return any(_is_meant(one, [service]) for one in listings)


def _is_meant(listing: Listing, services: Sequence[str]) -> bool:
    return any(
        service in (listing.name, str(listing.key))
        or fnmatchcase(listing.name, service)
        or fnmatchcase(str(listing.key), service)
        for service in services
    )


def _matching(listings: Sequence[Listing], pattern: str) -> set[Member]:
    service, _, server = pattern.rpartition("/")
    within = [one for one in listings if not service or _is_meant(one, [service])]
    exactly = _exact(server)
    found = {member for one in within for name, member in one.servers if exactly(name, member)}
    if found or not _WILD & set(server):
        return found
    like = _wild(server)
    return {member for one in within for name, member in one.servers if like(name, member)}


_Test = Callable[[str, Member], bool]


def _exact(text: str) -> _Test:
    """Parsed once, so that 20,000 addresses need not become text."""
    try:
        address = ip_address(text)
    except ValueError:
        pass
    else:
        return lambda name, member: name == text or member.server.address == address
    try:
        where = parse_endpoint(text)
    except ValueError:
        return lambda name, _member: name == text
    return lambda name, member: name == text or member.server == where


def _wild(text: str) -> _Test:
    matches = re.compile(translate(text)).match
    if not _OF_ADDRESSES.issuperset(text.lower()):
        return lambda name, _member: matches(name) is not None

    def names(name: str, member: Member) -> bool:
        server = member.server
        return bool(matches(name) or matches(str(server.address)) or matches(str(server)))

    return names


def _no_service(listings: Sequence[Listing], name: str) -> str:
    names = dict.fromkeys(text for one in listings for text in (one.name, str(one.key)))
    return f"{name}: no such service{_did_you_mean(name, names)}"


def _no_server(listings: Sequence[Listing], pattern: str) -> str:
    service, _, server = pattern.rpartition("/")
    if service and not _any(listings, service):
        return _no_service(listings, service)
    within = [one for one in listings if not service or _is_meant(one, [service])]
    prefix = f"{service}/" if service else ""
    names = dict.fromkeys(text for one in within for text in _names(one.servers))
    return f"{pattern}: no such server{_did_you_mean(server, names, prefix)}"


def _names(servers: Iterable[tuple[str, Member]]) -> Iterator[str]:
    for name, member in servers:
        yield name
        yield str(member.server)


def _did_you_mean(name: str, names: Iterable[str], prefix: str = "") -> str:
    if _WILD & set(name):
        return ""
    likely = sorted(names, key=lambda other: (other[:1] != name[:1], abs(len(other) - len(name))))
    close = get_close_matches(name, likely[:_COMPARED], n=3)
    return f", did you mean {' or '.join(prefix + one for one in close)}?" if close else ""


def server_names(listings: Sequence[Listing], beginning: str, limit: int) -> tuple[str, ...]:
    """The first *limit* names of servers, alone and with their service's, that start with *beginning*."""
    alone = (name for one in listings for name, _ in one.servers)
    whole = (f"{one.name}/{name}" for one in listings for name, _ in one.servers)
    return _first(chain(alone, whole), beginning, limit)


def service_names(listings: Sequence[Listing], beginning: str, limit: int) -> tuple[str, ...]:
    """The first *limit* names of services that start with *beginning*, then their texts (`tcp/10.0.0.16:80`)."""
    texts = chain((one.name for one in listings), (str(one.key) for one in listings))
    return _first(texts, beginning, limit)


def _first(names: Iterable[str], beginning: str, limit: int) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        if name.startswith(beginning):
            found[name] = None
            if len(found) >= limit:
                break
    return tuple(found)
