"""What the operator declares, parsed and complete: defaults filled in, pools and includes resolved."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from ipvs_lb.model.api import ApiListener, ApiSettings
from ipvs_lb.model.checks import HealthCheck
from ipvs_lb.model.cloud import OctaviaSettings
from ipvs_lb.model.hooks import Hook
from ipvs_lb.model.host import SourceNat, Vip
from ipvs_lb.model.identity import IPAddress, Port, ServiceKey
from ipvs_lb.model.metrics import MetricsSettings
from ipvs_lb.model.settings import Forwarding, Service, SyncDaemon, Timeouts, Tunnel


class OnDown(enum.StrEnum):
    """What a server that is down looks like in the kernel: not there, or there with weight 0."""

    REMOVE = "remove"
    QUIESCE = "quiesce"


class QuorumAction(enum.StrEnum):
    """What happens when fewer servers than the quorum are healthy."""

    WITHDRAW = "withdraw"
    BACKUP = "backup"


class VipDownWhen(enum.StrEnum):
    """Which of a VIP's services must be unable to serve before the VIP goes."""

    NEVER = "never"
    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """The least number of healthy servers, with hysteresis.

    Lost below `servers - hysteresis` (or at none), regained at `servers + hysteresis`.
    """

    servers: int
    hysteresis: int = 0
    action: QuorumAction = QuorumAction.WITHDRAW


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStart:
    """A server that comes back gets its weight linearly over `duration` seconds, in `steps` steps."""

    duration: float
    steps: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FlapDamping:
    """A server that changed state `changes` times within `window` seconds is held down, doubling up to `max_hold`."""

    changes: int
    window: float
    hold: float
    max_hold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """How probe results become weights.

    `required` is how many of a server's checks must pass (None: all). `panic_threshold` is a share of 0 to 1
    (0: off). `drain_timeout` seconds end any drain.
    """

    on_down: OnDown = OnDown.REMOVE
    required: int | None = None
    panic_threshold: float = 0.0
    quorum: Quorum | None = None
    slow_start: SlowStart | None = None
    flap_damping: FlapDamping | None = None
    drain_timeout: float = 300.0
    vip_down_when: VipDownWhen = VipDownWhen.NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredServer:
    """A real server as declared; `port` None is the service's own. `tier` 0 serves, 1 and up are backups.

    No `checks`: never tested, always believed healthy.
    """

    name: str
    address: IPAddress
    port: Port | None = None
    weight: int = 1
    forwarding: Forwarding = Forwarding.MASQ
    tunnel: Tunnel | None = None
    upper_threshold: int = 0
    lower_threshold: int = 0
    tier: int = 0
    disabled: bool = False
    checks: tuple[HealthCheck, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredService:
    """One entry of the config: one or more virtual services that share settings, servers and policy.

    `vips` are the addresses of `keys`, or those named with a fwmark. `allow` are the networks of those who get in, in
    canonical form; none stands for everyone. `origin` is `FILE:LINE`, which does not count when two are compared.
    """

    name: str
    keys: tuple[ServiceKey, ...]
    service: Service
    servers: tuple[DeclaredServer, ...]
    policy: HealthPolicy = HealthPolicy()  # frozen, so sharing one is safe
    vips: tuple[Vip, ...] = ()
    source_nat: SourceNat = SourceNat.OFF
    allow: tuple[str, ...] = ()
    origin: str = field(default="", compare=False)


class Drift(enum.StrEnum):
    """What is done about changes that others made to what is ours."""

    REPAIR = "repair"
    REPORT = "report"


PROBE_MARKS = 2**20
"""How many firewall marks are set aside for probes through VIPs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """How the daemon works: seconds between two comparisons with the kernel, and what follows from a difference.

    `watch`: a change of the configuration's files is a reload. `probe_marks`: the first of `PROBE_MARKS` marks.
    """

    reconcile_interval: float = 10.0
    drift: Drift = Drift.REPAIR
    watch: bool = False
    probe_marks: int = 0x4950_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole declaration. `sync_daemons` empty and `timeouts` None declare nothing about them."""

    services: tuple[DeclaredService, ...] = ()
    timeouts: Timeouts | None = None
    sync_daemons: tuple[SyncDaemon, ...] = ()
    manage_sysctls: bool = False
    daemon: DaemonSettings = DaemonSettings()  # frozen, so sharing one is safe
    api: ApiSettings = field(default_factory=ApiSettings)
    hooks: tuple[Hook, ...] = ()
    octavia: OctaviaSettings | None = None
    metrics: MetricsSettings = field(default_factory=MetricsSettings)

    @property
    def listeners(self) -> tuple[ApiListener, ...]:
        """Every TCP port that the daemon is to listen on."""
        octavia = () if self.octavia is None else (self.octavia.listener,)
        metrics = () if self.metrics.listener is None else (self.metrics.listener,)
        return (*self.api.listen, *octavia, *metrics)
