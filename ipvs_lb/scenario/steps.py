"""The steps of a scenario, as values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipvs_lb.lab.backends import Condition
from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import IPAddress


@dataclass(frozen=True, slots=True)
class Who:
    """A real server: its address, and the names of the services that are meant."""

    address: IPAddress
    services: frozenset[str]


@dataclass(frozen=True, slots=True)
class Become:
    """A server's application is in a condition from now on."""

    who: Who
    condition: Condition


@dataclass(frozen=True, slots=True)
class Plug:
    """A server's cable is pulled, or is in again."""

    who: Who
    is_in: bool


@dataclass(frozen=True, slots=True)
class Lose:
    """A share (0 to 1) of the packets to a server is lost."""

    who: Who
    share: float


@dataclass(frozen=True, slots=True)
class Delay:
    """Packets to a server take so many seconds longer."""

    who: Who
    seconds: float


class Life(enum.StrEnum):
    """What happens to the daemon."""

    START = "start"
    STOP = "stop"
    KILL = "kill"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon is started, stopped, killed, or stopped and started."""

    life: Life


@dataclass(frozen=True, slots=True)
class Reload:
    """The daemon reads another configuration."""

    file: Path


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's command on a server: `drain`, `disable`, `enable`, or `weight` with a number."""

    words: tuple[str, ...]
    who: Who


@dataclass(frozen=True, slots=True)
class Run:
    """A program runs on the gateway, and has to succeed."""

    command: tuple[str, ...]


Action = Become | Plug | Lose | Delay | Daemon | Reload | Order | Run


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server has to be in the kernel's table; `weight` None: any but 0 when it is in."""

    who: Who
    is_in: bool
    weight: int | None = None


@dataclass(frozen=True, slots=True)
class Errors:
    """At most this share of a service's requests stays without an answer."""

    service: str
    most: float = 0.0


@dataclass(frozen=True, slots=True)
class Only:
    """A service's requests are answered by these servers and no other, and some are."""

    service: str
    who: tuple[Who, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """A server gives this share of a service's answers, more or less."""

    service: str
    who: Who
    share: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Every answer of a service comes within so many seconds."""

    service: str
    most: float


Demand = Errors | Only | Share | Latency


@dataclass(frozen=True, slots=True)
class Expect:
    """A server's place, reached `within` seconds or, with `lasting`, kept for so many."""

    place: Place
    within: float = 0.0
    lasting: float = 0.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What has to hold of the requests that are sent in the next `seconds`."""

    demand: Demand
    seconds: float


Doing = Action | Expect | Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its sentence, when it is due as that was written, where it stands, what it means.

    It is done `at` so many seconds after the daemon has begun and, if it `waits`, when no expectation is open any more.
    """

    text: str
    when: str
    origin: str
    doing: Doing
    at: float = 0.0
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """The clients of each service that is watched: requests a second, and seconds they wait for an answer."""

    rate: float = 20.0
    timeout: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario with the configurations it plays; `timing` is what all health checks have of it instead of their own."""

    name: str
    file: str
    config: Path
    configs: Mapping[Path, Config]
    steps: tuple[Step, ...]
    pace: Pace = Pace()  # frozen, so sharing one is safe
    timing: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def watched(self) -> frozenset[str]:
        """The services whose clients ask."""
        watches = (step.doing for step in self.steps if isinstance(step.doing, Watch))
        return frozenset(watch.demand.service for watch in watches)
