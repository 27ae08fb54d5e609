"""Everything a decision is made from besides the declaration, and what it remembers for the next one.

Times are Unix seconds, so that records mean the same after a restart. `now` never goes back while the process lives:
the wall clock at its start plus what a monotonic clock has counted since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ipvs_lb.health import Health
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.settings import Server
from ipvs_lb.overrides import Override
from ipvs_lb.policy.members import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A server that is no longer declared and is being drained: `server` are its last settings."""

    server: Server
    since: float
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """A drain under way, or over: it stays over until nobody wants it any more."""

    since: float
    deadline: float
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the next decision on one virtual service has to know of the ones before it.

    `decided`: there were any. `present` servers are in the table. `serving` ones have weight, with the start of their
    slow start (None: none). `awaited` ones have had no result since the first decision.
    """

    decided: bool = False
    quorum_lost: bool = False
    present: frozenset[ServerKey] = frozenset()
    serving: Mapping[ServerKey, float | None] = field(default_factory=dict)
    awaited: frozenset[ServerKey] = frozenset()
    drains: Mapping[ServerKey, Drain] = field(default_factory=dict)


NO_MEMORY = Memory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The state of the world at `now`.

    A probe that is not in `health` has had no result. `connections` are those a drain of the server waits for
    (`ipvs_lb.policy.unfinished`), read after its weight had become 0; servers whose number is not known are not in it.
    """

    now: float
    health: Mapping[Probe, Health] = field(default_factory=dict)
    overrides: Mapping[Member, Override] = field(default_factory=dict)
    removed: Mapping[ServiceKey, Mapping[ServerKey, Removed]] = field(default_factory=dict)
    connections: Mapping[Member, int] = field(default_factory=dict)
    memory: Mapping[ServiceKey, Memory] = field(default_factory=dict)
