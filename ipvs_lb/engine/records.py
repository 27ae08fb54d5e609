"""What the daemon remembers over a restart, as named texts for the store.

A record that cannot be read is as good as none: it says so, and the daemon starts without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from hashlib import blake2b
from typing import Any, TypeVar

from ipvs_lb.events import Event, Level
from ipvs_lb.health import Health, Reported, Status
from ipvs_lb.model.identity import Port, parse_endpoint, parse_service_key
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import AgentMode
from ipvs_lb.model.settings import Forwarding, Server, Tunnel, TunnelChecksum, TunnelType
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Member, Removed

HEALTH, OVERRIDE, REMOVED, EVENT = "health/", "override/", "removed/", "event/"

T = TypeVar("T")


def health_name(probe: Probe) -> str:
    """The name of the record of *probe*: its content, digested."""
    return HEALTH + blake2b(repr(probe).encode(), digest_size=16).hexdigest()


def health_text(health: Health) -> str:
    """*health* as a record."""
    return json.dumps(asdict(health), separators=(",", ":"))


def health_from(text: str) -> Health:
    """The inverse of `health_text`. Raises ValueError, KeyError, TypeError."""
    values = _mapping(json.loads(text))
    reported = _mapping(values.pop("reported"))
    return Health(
        status=Status(values.pop("status")),
        changes=tuple(map(float, values.pop("changes"))),
        reported=Reported(mode=AgentMode(reported.pop("mode")), **reported),
        **values,
    )


def override_name(member: Member) -> str:
    """The name of the record of the override on *member*."""
    return f"{OVERRIDE}{member.key} {member.server}"


def override_text(override: Override) -> str:
    """*override* as a record."""
    return json.dumps(asdict(override), separators=(",", ":"))


def member_from(name: str) -> Member:
    """The member that a record is about, by its name. Raises ValueError."""
    key, _, server = name.partition("/")[2].partition(" ")
    return Member(parse_service_key(key), parse_endpoint(server))


def removed_name(member: Member) -> str:
    """The name of the record of a *member* that is no longer declared and drains."""
    return f"{REMOVED}{member.key} {member.server}"


def removed_text(removed: Removed) -> str:
    """*removed* as a record."""
    return json.dumps(asdict(removed), separators=(",", ":"))


def removed_from(text: str) -> Removed:
    """The inverse of `removed_text`. Raises ValueError, KeyError, TypeError."""
    values = _mapping(json.loads(text))
    server = _mapping(values.pop("server"))
    tunnel = server.pop("tunnel")
    settings = Server(
        forwarding=Forwarding(server.pop("forwarding")),
        tunnel=tunnel
        and Tunnel(
            TunnelType(tunnel["type"]), Port(tunnel["port"]), TunnelChecksum(tunnel["checksum"])
        ),
        **server,
    )
    return Removed(server=settings, **values)


def override_from(text: str) -> Override:
    """The inverse of `override_text`. Raises ValueError, KeyError, TypeError."""
    values = _mapping(json.loads(text))
    return Override(action=Action(values.pop("action")), **values)


def event_name(event: Event) -> str:
    """The name of the record of *event*."""
    return event_name_of(event.number)


def event_name_of(number: int) -> str:
    """The name of the record of the event with this *number*; names sort as the events do."""
    return f"{EVENT}{number:012d}"


def event_text(event: Event) -> str:
    """*event* as a record."""
    return json.dumps(asdict(event), separators=(",", ":"))


def event_from(text: str) -> Event:
    """The inverse of `event_text`. Raises ValueError, KeyError, TypeError."""
    values = _mapping(json.loads(text))
    return Event(level=Level(values.pop("level")), **values)


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a mapping, found {type(value).__name__}")
    return value


def readable(
    records: Mapping[str, str], read: Callable[[str], T], damaged: list[str]
) -> Iterator[tuple[str, T]]:
    """The records that *read* understands; the names of the others go to *damaged*."""
    for name, text in sorted(records.items()):
        try:
            if name.startswith((OVERRIDE, REMOVED)):
                member_from(name)
            yield name, read(text)
        except (ValueError, KeyError, TypeError):
            damaged.append(name)
