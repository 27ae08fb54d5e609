"""What Octavia's API is about: load balancers, their listeners, pools, members and health monitors.

Times are Unix seconds. Identifiers are UUIDs in text form. Nothing here changes; an edit makes a new value.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ipvs_lb.model.identity import IPAddress

DEFAULT_PERSISTENCE_TIMEOUT = 360


class Kind(enum.StrEnum):
    """The kinds of objects; the value is the key under which a body holds one."""

    LOAD_BALANCER = "loadbalancer"
    LISTENER = "listener"
    POOL = "pool"
    MEMBER = "member"
    HEALTH_MONITOR = "healthmonitor"

    @property
    def words(self) -> str:
        """What faults call it."""
        return _WORDS[self]

    @property
    def plural(self) -> str:
        """The key under which an answer holds several, which is their path, too."""
        return f"{self}s"


_WORDS = {
    Kind.LOAD_BALANCER: "Load Balancer",
    Kind.LISTENER: "Listener",
    Kind.POOL: "Pool",
    Kind.MEMBER: "Member",
    Kind.HEALTH_MONITOR: "Health Monitor",
}


class Provisioning(enum.StrEnum):
    """How far the last change of an object has come."""

    ACTIVE = "ACTIVE"
    PENDING_CREATE = "PENDING_CREATE"
    PENDING_UPDATE = "PENDING_UPDATE"
    PENDING_DELETE = "PENDING_DELETE"
    ERROR = "ERROR"

    @property
    def is_pending(self) -> bool:
        """A change is under way."""
        return self.value.startswith("PENDING")


class Operating(enum.StrEnum):
    """What is observed of an object."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    NO_MONITOR = "NO_MONITOR"
    DRAINING = "DRAINING"


class Algorithm(enum.StrEnum):
    """How a pool chooses a member."""

    LEAST_CONNECTIONS = "LEAST_CONNECTIONS"
    ROUND_ROBIN = "ROUND_ROBIN"
    SOURCE_IP = "SOURCE_IP"
    SOURCE_IP_PORT = "SOURCE_IP_PORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What all objects have. `provisioning` is that of the last change, `updated_at` None before the first is over."""

    id: str
    name: str = ""
    project_id: str
    admin_state_up: bool = True
    tags: tuple[str, ...] = ()
    created_at: float
    updated_at: float | None = None
    provisioning: Provisioning = Provisioning.PENDING_CREATE


@dataclass(frozen=True, slots=True, kw_only=True)
class VipAddress:
    """An address of a load balancer, with the port of the network that holds it; None: it is in none that we know."""

    address: IPAddress
    port_id: str | None
    subnet_id: str | None
    network_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer(Resource):
    """An address that listeners answer on, and the unit in which changes are made."""

    description: str = ""
    vip: VipAddress
    additional_vips: tuple[VipAddress, ...] = ()
    provider: str = "ipvs"

    @property
    def vips(self) -> tuple[VipAddress, ...]:
        """All its addresses, the main one first."""
        return (self.vip, *self.additional_vips)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener(Resource):
    """A port of a load balancer. Times are milliseconds, kept and shown, without effect on layer 4.

    `allowed_cidrs` None lets everyone in. `connection_limit` -1: none.
    """

    description: str = ""
    load_balancer_id: str
    protocol: str
    protocol_port: int
    connection_limit: int = -1
    default_pool_id: str | None = None
    timeout_client_data: int = 50000
    timeout_member_connect: int = 5000
    timeout_member_data: int = 50000
    timeout_tcp_inspect: int = 0
    allowed_cidrs: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPersistence:
    """Clients of one address stay on their member; None leaves the time (seconds) and the netmask to us.

    An object has it of type SOURCE_IP only; a request may say another, or in an update "" for the one there is.
    """

    type: str = "SOURCE_IP"
    cookie_name: str | None = None
    timeout: int | None = None
    granularity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Resource):
    """Members that share the load of listeners."""

    description: str = ""
    load_balancer_id: str
    protocol: str
    lb_algorithm: Algorithm
    session_persistence: SessionPersistence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Resource):
    """A server of a pool."""

    pool_id: str
    address: IPAddress
    protocol_port: int
    weight: int = 1
    backup: bool = False
    subnet_id: str | None = None
    monitor_address: IPAddress | None = None
    monitor_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthMonitor(Resource):
    """How the members of a pool are tested; seconds. `http_method` and what follows only with HTTP and HTTPS."""

    pool_id: str
    type: str
    delay: int
    timeout: int
    max_retries: int
    max_retries_down: int = 3
    http_method: str | None = None
    url_path: str | None = None
    expected_codes: str | None = None
    http_version: float | None = None
    domain_name: str | None = None


AnyObject = LoadBalancer | Listener | Pool | Member | HealthMonitor


def kind_of(thing: AnyObject) -> Kind:
    """What *thing* is."""
    return _KINDS[type(thing)]


_KINDS: dict[type, Kind] = {
    LoadBalancer: Kind.LOAD_BALANCER,
    Listener: Kind.LISTENER,
    Pool: Kind.POOL,
    Member: Kind.MEMBER,
    HealthMonitor: Kind.HEALTH_MONITOR,
}
