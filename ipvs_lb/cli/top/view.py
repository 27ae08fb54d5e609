"""What the one in front of the terminal has chosen to see."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ipvs_lb.cli.top.readings import Identity


class Sort(enum.StrEnum):
    """What comes first: as configured, by name, the worst state, most connections, most new ones, the newest change."""

    CONFIGURED = "configured"
    NAME = "name"
    STATE = "state"
    ACTIVE = "active"
    RATE = "conn/s"
    SINCE = "since"

    @property
    def following(self) -> Sort:
        """The next one round."""
        every = list(Sort)
        return every[(every.index(self) + 1) % len(every)]


class Mode(enum.Enum):
    """What keys mean now."""

    LIST = enum.auto()
    FILTER = enum.auto()
    DETAIL = enum.auto()
    HELP = enum.auto()


@dataclass(frozen=True, slots=True)
class Order:
    """An order to one server, whatever is selected meanwhile."""

    action: str
    server: Identity
    name: str


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose checks are asked for: the servers of these services; `server` alone, when everything of it is shown."""

    services: tuple[str, ...] = ()
    server: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Choices, the selected row, the first row in sight; `asked`: the order that waits for a yes."""

    mode: Mode = Mode.LIST
    sort: Sort = Sort.CONFIGURED
    backwards: bool = False
    filter: str = ""
    only_trouble: bool = False
    selected: Identity | None = None
    position: int = 0
    first: int = 0
    scrolled: int = 0
    asked: Order | None = None
