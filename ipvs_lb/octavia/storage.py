"""The objects in the store: one named text each, written in the transaction of the change they belong to.

A text says the version of its form; a form of an earlier version is brought up to date when it is read. A text that
cannot be read is left where it is and told: what it was about is then neither served nor taken down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ipvs_lb.octavia.catalogue import Change
from ipvs_lb.octavia.floating import FloatingIp
from ipvs_lb.octavia.objects import (
    AnyObject,
    HealthMonitor,
    Kind,
    Listener,
    LoadBalancer,
    Member,
    Pool,
)

PREFIX = "octavia/"
VERSION = 1
FLOATING = "floatingip"
QUOTA = "quota"
_TYPES: Mapping[str, TypeAdapter[Any]] = {
    Kind.LOAD_BALANCER: TypeAdapter(LoadBalancer),
    Kind.LISTENER: TypeAdapter(Listener),
    Kind.POOL: TypeAdapter(Pool),
    Kind.MEMBER: TypeAdapter(Member),
    Kind.HEALTH_MONITOR: TypeAdapter(HealthMonitor),
    FLOATING: TypeAdapter(FloatingIp),
}


@dataclass(slots=True)
class Stored:
    """What the store holds; names of what could not be read."""

    objects: list[AnyObject] = field(default_factory=list)
    floating: list[FloatingIp] = field(default_factory=list)
    quotas: dict[str, dict[str, int]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)


def texts(change: Change) -> dict[str, str | None]:
    """*change* as named texts."""
    return {
        f"{PREFIX}{kind}/{identifier}": None if thing is None else _text(kind, thing)
        for (kind, identifier), thing in change.items()
    }


def floating_text(identifier: str, one: FloatingIp | None) -> dict[str, str | None]:
    """A floating IP as a named text."""
    return {f"{PREFIX}{FLOATING}/{identifier}": None if one is None else _text(FLOATING, one)}


def quota_text(project: str, limits: Mapping[str, int] | None) -> dict[str, str | None]:
    """The limits of a project as a named text."""
    return {f"{PREFIX}{QUOTA}/{project}": None if limits is None else json.dumps(dict(limits))}


def _text(kind: str, thing: object) -> str:
    body = _TYPES[kind].dump_python(thing, mode="json")
    return json.dumps({"version": VERSION, **body}, separators=(",", ":"))


def read(found: Mapping[str, str]) -> Stored:
    """What named texts say, of those that are ours."""
    stored = Stored()
    for name, kind, identifier, text in _ours(found):
        try:
            _read_one(stored, kind, identifier, json.loads(text))
        except (ValueError, TypeError, KeyError, RecursionError, ValidationError):
            stored.damaged.append(name)
    _drop_orphans(stored)
    return stored


def _ours(found: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for name, text in found.items():
        if name.startswith(PREFIX):
            kind, _, identifier = name.removeprefix(PREFIX).partition("/")
            yield name, kind, identifier, text


def _read_one(stored: Stored, kind: str, identifier: str, body: dict[str, Any]) -> None:
    if kind == QUOTA:
        stored.quotas[identifier] = {str(name): int(limit) for name, limit in body.items()}
        return
    if body.pop("version") != VERSION:
        raise ValueError("a version of the future")
    thing = _TYPES[kind].validate_python(body)
    if kind == FLOATING:
        stored.floating.append(thing)
    else:
        stored.objects.append(thing)


def _drop_orphans(stored: Stored) -> None:
    """Objects whose load balancer or pool could not be read count as damaged, too."""
    roots = {one.id for one in stored.objects if isinstance(one, LoadBalancer)}
    pools = {
        one.id for one in stored.objects if isinstance(one, Pool) and one.load_balancer_id in roots
    }
    kept = []
    for one in stored.objects:
        holder = one.load_balancer_id if isinstance(one, Listener | Pool) else None
        inside = one.pool_id if isinstance(one, Member | HealthMonitor) else None
        if (holder is None or holder in roots) and (inside is None or inside in pools):
            kept.append(one)
        else:
            stored.damaged.append(f"{PREFIX}{type(one).__name__.lower()}/{one.id}")
    stored.objects = sorted(kept, key=lambda one: one.created_at)
