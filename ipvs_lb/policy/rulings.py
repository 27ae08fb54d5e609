"""What a decision says: who is in with which weight, by which rule, until when."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from ipvs_lb.model.identity import IPAddress, ServiceKey
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.policy.inputs import Memory
from ipvs_lb.policy.members import Member


class Rule(enum.StrEnum):
    """The rule that decided about a server; the package's docstring says what each does."""

    DISABLED = "disabled"
    FORCED_DOWN = "forced_down"
    FORCED_UP = "forced_up"
    SET_WEIGHT = "set_weight"
    DRAIN = "drain"
    AGENT_MAINT = "agent_maint"
    AGENT_DRAIN = "agent_drain"
    AWAITED = "awaited"
    FAILING = "failing"
    DAMPED = "damped"
    PANIC = "panic"
    STANDBY = "standby"
    STEPPING_BACK = "stepping_back"
    SLOW_START = "slow_start"
    REPORTED_WEIGHT = "reported_weight"
    ZERO_WEIGHT = "zero_weight"
    UNCHECKED = "unchecked"
    HEALTHY = "healthy"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The decision about one server.

    `weight` is the one in the kernel, None: not in the table. `rest` is the weight it has when it serves and nothing
    holds it back. `until` is when the rule ends, or takes its next step, by itself.
    """

    member: Member
    name: str
    tier: int
    rule: Rule
    weight: int | None
    rest: int
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDecision:
    """The decision about one virtual service.

    `tier` is the one that serves, None: no server can. `healthy` of `counted` servers are not failing, which panic
    goes by; `live` servers of the first tier could serve, which the quorum goes by. Rulings follow the declaration,
    removed servers come last. `wake_at`: until then, the same inputs lead to the same decision.
    """

    key: ServiceKey
    virtual: VirtualService
    rulings: tuple[Ruling, ...]
    tier: int | None
    healthy: int
    counted: int
    panicking: bool
    live: int
    quorum_lost: bool
    memory: Memory
    wake_at: float | None

    @property
    def serves(self) -> bool:
        """Whether a new connection finds a server."""
        return bool(self.memory.serving)


@dataclass(frozen=True, slots=True, kw_only=True)
class VipRuling:
    """Whether an address is to be up, and if not, the virtual services that keep it down.

    `awaited`: no service behind it has a server yet, and first results are still to come. It need not come before.
    """

    address: IPAddress
    because: tuple[ServiceKey, ...] = ()
    awaited: bool = False

    @property
    def is_up(self) -> bool:
        """Nothing keeps it down."""
        return not self.because


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision about everything that is declared."""

    table: Table
    services: Mapping[ServiceKey, ServiceDecision]
    vips: Mapping[IPAddress, VipRuling]
    wake_at: float | None

    @property
    def memory(self) -> dict[ServiceKey, Memory]:
        """What the next decision has to be given."""
        return {key: service.memory for key, service in self.services.items()}


def earliest(times: list[float | None]) -> float | None:
    """The first of those times that are any."""
    return min((time for time in times if time is not None), default=None)
