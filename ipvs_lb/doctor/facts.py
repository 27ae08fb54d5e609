"""Everything the doctor looks at, as values: nothing here asks the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ipvs_lb.model.config import Config
from ipvs_lb.model.desired import Owned
from ipvs_lb.model.host import HostState, InterfaceAddress
from ipvs_lb.model.identity import IPAddress, IPProtocol, Port
from ipvs_lb.model.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way to a server: by which link, through which router if any, and the largest packet it takes.

    `is_local`: the address is one of the gateway's own.
    """

    interface: str
    router: IPAddress | None = None
    mtu: int = 1500
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that others can reach; `address` None is every address of both families."""

    protocol: IPProtocol
    address: IPAddress | None
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDirectory:
    """The state directory: whether others may write to it, what is left on its file system, what is wrong in it.

    `newest` is when the newest generation was made, in Unix seconds.
    """

    path: str
    exists: bool = True
    others_write: bool = False
    free: int | None = None
    problems: tuple[str, ...] = ()
    newest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """What the daemon says; `config_error` are the problems of a configuration that it refused."""

    running: bool = False
    config_error: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One gateway at one moment.

    `config` None: there is none to compare with. `ipvs_error` is a message and a hint where IPVS cannot be asked.
    `modules` are those of IPVS that are loaded, built in or can be loaded; None: not known. `loaded` are the first two.
    `routes` has each server's address, None where no route leads. `answers` are the hardware addresses of other hosts
    that answered for an address, where probes were allowed. `managers` are running programs that manage IPVS too.
    """

    config: Config | None = None
    config_path: str = "/etc/ipvs-lb/config.yaml"
    now: float = 0.0
    ipvs_error: tuple[str, str] | None = None
    table: Table = field(default_factory=Table)
    table_size: int = 0
    connections: int = 0
    owned: Owned = Owned()  # noqa: RUF009  # frozen, so sharing one is safe
    host: HostState = field(default_factory=HostState)
    down: frozenset[str] = frozenset()
    modules: frozenset[str] | None = None
    loaded: frozenset[str] = frozenset()
    routes: Mapping[IPAddress, Route | None] = field(default_factory=dict)
    listeners: tuple[Listener, ...] = ()
    answers: Mapping[InterfaceAddress, str] = field(default_factory=dict)
    managers: tuple[str, ...] = ()
    file_limit: int | None = None
    clock_is_set: bool = True
    state: StateDirectory = field(default_factory=lambda: StateDirectory(path="/var/lib/ipvs-lb"))
    daemon: Daemon = Daemon()
    not_seen: tuple[str, ...] = ()
