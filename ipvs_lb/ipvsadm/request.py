"""What a command line of ipvsadm asks for."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ipvs_lb.commands import Command
from ipvs_lb.model.identity import ServiceKey


class Columns(enum.Enum):
    """What stands beside services and servers in a listing."""

    SETTINGS = enum.auto()
    STATS = enum.auto()
    RATE = enum.auto()
    THRESHOLDS = enum.auto()
    PERSISTENT = enum.auto()
    TUNNELS = enum.auto()


@dataclass(frozen=True, slots=True)
class Change:
    """Something is to be changed in the kernel."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """The table, or one service of it."""

    key: ServiceKey | None = None
    columns: Columns = Columns.SETTINGS
    numeric: bool = False
    exact: bool = False
    sort: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConnections:
    """The connections; with `engines` also what persistence engines know of them."""

    numeric: bool
    engines: bool


@dataclass(frozen=True, slots=True)
class Save:
    """The table as rules."""

    numeric: bool


class Plain(enum.Enum):
    """Requests that have no more to them."""

    LIST_TIMEOUTS = enum.auto()
    LIST_DAEMONS = enum.auto()
    RESTORE = enum.auto()
    HELP = enum.auto()
    VERSION = enum.auto()


Request = Change | List | ListConnections | Save | Plain
