"""What a running gateway can be asked and told: the face of the daemon towards its API.

Everything a face sees is a value of one moment; everything it orders becomes an input of the next decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from ipvs_lb.events import Event, Fact
from ipvs_lb.health import Health
from ipvs_lb.model.activity import NO_ACTIVITY, Activity
from ipvs_lb.model.config import Config, DeclaredService
from ipvs_lb.model.desired import GenerationSummary
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result
from ipvs_lb.model.table import Statistics, Table
from ipvs_lb.overrides import Override
from ipvs_lb.policy import Decision, Layout, Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One execution of a probe: when it ended (Unix seconds) and with what."""

    at: float
    result: Result


class Outcomes(Protocol):
    """The last outcomes of one probe, oldest first; each is made when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Outcome: ...

    def __iter__(self) -> Iterator[Outcome]: ...

    def newest_failure(self) -> Outcome | None:
        """The last of them that was no success."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeView:
    """One probe: what is believed, its last outcomes, and how many members share it."""

    probe: Probe
    health: Health
    history: Outcomes
    users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A gateway at one moment, Unix seconds `at`.

    `kernel` is the table as it was last read or written, None when it could not be read; `kernel_error` then says why.
    `drifted` counts the repairs of what others changed, `reconciled` is the time of the last successful comparison.
    `activity` is what was counted since the start.
    """

    at: float
    started: float
    origin: str
    config: Config
    layouts: Mapping[ServiceKey, Layout]
    decision: Decision
    probes: Mapping[Probe, ProbeView]
    overrides: Mapping[Member, Override]
    kernel: Table | None
    kernel_error: str | None
    reconciled: float | None
    drifted: int
    generation: GenerationSummary | None
    config_error: tuple[str, ...]
    last_event: int
    activity: Activity = NO_ACTIVITY


class Control(Protocol):
    """A running gateway, for its faces. Everything is called on the event loop."""

    def snapshot(self) -> Snapshot:
        """Everything there is to see, at this moment."""
        ...

    async def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """The kernel's counters now, of the services *keys* or of all. Raises KernelError."""
        ...

    async def order(self, members: Sequence[Member], override: Override | None) -> None:
        """Put a standing order on *members*, or with None take theirs back; durable when this returns.

        Raises UsageError when one of them does not exist, and changes nothing then.
        """
        ...

    async def check(self, members: Sequence[Member]) -> Mapping[Probe, Outcome]:
        """Probe *members* now, out of turn; the results count like any other."""
        ...

    async def reload(self) -> None:
        """Read the configuration again. Raises ConfigError, and the old one stays in force."""
        ...

    async def declare(self, group: str, services: Sequence[DeclaredService]) -> None:
        """Have *services* as the group of that name beside all else; they are in the kernel when this returns.

        Raises ConfigError when one is declared elsewhere, and changes nothing then; KernelError, HostError or
        StoreError when they could not be brought in force, which is tried again all the same.
        """
        ...

    async def announce(self) -> None:
        """Announce every VIP that is up on its link once more. Raises HostError."""
        ...

    def warn(self, name: str, facts: Mapping[str, Fact]) -> None:
        """Make an event of something that a face has seen and somebody should look at."""
        ...

    def events(self, after: int) -> tuple[Event, ...]:
        """The kept events numbered above *after*, oldest first."""
        ...

    def subscribe(self, told: Callable[[Event], None]) -> Callable[[], None]:
        """Have *told* called on the loop with every further event; the returned function ends that."""
        ...
