"""What can be set on a virtual service, on a real server and on the IPVS of a network namespace.

Facts and limits are those of the kernel's include/uapi/linux/ip_vs.h and net/netfilter/ipvs/ip_vs_ctl.c.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NewType

from ipvs_lb.model.identity import NO_PORT, IPAddress, Port

PrefixLength = NewType("PrefixLength", int)

MAX_WEIGHT = 65535


class SchedulerFlags(enum.Flag):
    """IP_VS_SVC_F_SCHED1 to 3; what they mean is up to the scheduler (`SCHEDULER_FLAGS`)."""

    NONE = 0
    FLAG_1 = 1
    FLAG_2 = 2
    FLAG_3 = 4


SCHEDULERS: dict[str, str] = {
    "rr": "round robin",
    "wrr": "weighted round robin",
    "lc": "least connections",
    "wlc": "weighted least connections",
    "sh": "source hashing",
    "dh": "destination hashing",
    "mh": "Maglev hashing",
    "sed": "shortest expected delay",
    "nq": "never queue",
    "fo": "weighted failover",
    "ovf": "weighted overflow",
    "lblc": "locality-based least connections",
    "lblcr": "locality-based least connections with replication",
    "twos": "power of two random choices (Linux 6.6)",
}
"""Every scheduler of the mainline kernel with its meaning; a kernel may have others."""

SCHEDULER_FLAGS: dict[str, dict[str, SchedulerFlags]] = {
    "sh": {"sh-fallback": SchedulerFlags.FLAG_1, "sh-port": SchedulerFlags.FLAG_2},
    "mh": {"mh-fallback": SchedulerFlags.FLAG_1, "mh-port": SchedulerFlags.FLAG_2},
}
"""The names some schedulers give the flags; `flag-1` to `flag-3` name them for all."""

HASHING_SCHEDULERS = frozenset({"sh", "dh", "mh"})


@dataclass(frozen=True, slots=True)
class Persistence:
    """Clients stay on their server for `timeout` seconds (1 to 31 days) after the last connection.

    `granularity` says what one client is, as the kernel keeps it: for IPv4 a netmask, for IPv6 a prefix length.
    """

    timeout: int
    granularity: IPv4Address | PrefixLength


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The settings of a virtual service, as the kernel keeps them."""

    scheduler: str
    flags: SchedulerFlags = SchedulerFlags.NONE
    persistence: Persistence | None = None
    persistence_engine: str | None = None
    one_packet: bool = False


class Forwarding(enum.IntEnum):
    """How packets reach the real server; the value is IP_VS_CONN_F_FWD_MASK's."""

    MASQ = 0
    LOCAL = 1
    TUNNEL = 2
    DR = 3
    BYPASS = 4

    def __str__(self) -> str:
        return self.name.lower()


class TunnelType(enum.IntEnum):
    """Encapsulations of the tunnel method; the value is IP_VS_CONN_F_TUNNEL_TYPE_'s."""

    IPIP = 0
    GUE = 1
    GRE = 2

    def __str__(self) -> str:
        return self.name.lower()


class TunnelChecksum(enum.IntEnum):
    """IP_VS_TUNNEL_ENCAP_FLAG_: none, a checksum, or GUE's remote checksum offload."""

    NONE = 0
    CSUM = 1
    REMCSUM = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The encapsulation of a tunnel server; `port` is GUE's UDP port and 0 for the others."""

    type: TunnelType = TunnelType.IPIP
    port: Port = NO_PORT
    checksum: TunnelChecksum = TunnelChecksum.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The settings of a real server, as the kernel keeps them.

    `upper_threshold` 0 is no limit; `lower_threshold` 0 lets the kernel use three quarters of the upper one.
    `tunnel` is set exactly when `forwarding` is TUNNEL.
    """

    forwarding: Forwarding = Forwarding.MASQ
    weight: int = 1
    upper_threshold: int = 0
    lower_threshold: int = 0
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds an idle connection entry lives: established TCP, TCP after FIN, UDP (1 to 2**31 / HZ)."""

    tcp: int
    tcp_fin: int
    udp: int


class SyncRole(enum.IntEnum):
    """The roles of the connection-synchronization daemon; the value is IP_VS_STATE_'s."""

    MASTER = 1
    BACKUP = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDaemon:
    """A connection-synchronization daemon; None and 0 leave the choice to the kernel when starting one.

    `sync_id` 0 to 255 (0 accepts all), `max_length` bytes of a sync message, `ttl` 1 to 255.
    """

    role: SyncRole
    interface: str
    sync_id: int = 0
    max_length: int = 0
    group: IPAddress | None = None
    port: Port = NO_PORT
    ttl: int = 0
