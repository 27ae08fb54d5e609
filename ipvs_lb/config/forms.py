"""The forms of the configuration: its mappings with every key, what each means and which values it takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ipvs_lb.config.api import ApiForm
from ipvs_lb.config.check_forms import Check, CheckSettings
from ipvs_lb.config.fields import Form, Given, Listed, Shorthand
from ipvs_lb.config.hook_forms import HookForm
from ipvs_lb.config.kinds import (
    MAX_MARK,
    MAX_PERSISTENCE,
    MAX_TIMEOUT,
    Address,
    Boolean,
    Checksum,
    Count,
    Encapsulation,
    ForwardingMethod,
    Interface,
    MaybeBoolean,
    MaybeEngine,
    MaybeFamily,
    MaybeForwarding,
    MaybeGroup,
    MaybeInterface,
    MaybeMark,
    MaybeName,
    MaybeNetmask,
    MaybePort,
    MaybePrefix,
    Name,
    Network,
    PortRange,
    Protocol,
    Required,
    Role,
    Scheduler,
    SchedulerFlag,
    Share,
    Threshold,
    Tier,
    Translation,
    Weight,
    WhenDown,
    WhenDrifted,
    WhenLost,
    WhenVipGoes,
    seconds,
    text,
    whole,
    whole_seconds,
)
from ipvs_lb.config.metrics import MetricsForm
from ipvs_lb.config.networks import NetworkForm
from ipvs_lb.config.octavia import OctaviaForm
from ipvs_lb.config.values import DAY, HOUR, Seconds
from ipvs_lb.model.config import (
    PROBE_MARKS,
    DaemonSettings,
    Drift,
    OnDown,
    QuorumAction,
    VipDownWhen,
)
from ipvs_lb.model.host import SourceNat
from ipvs_lb.model.identity import IPProtocol
from ipvs_lb.model.settings import Forwarding, TunnelChecksum, TunnelType

Checks = Annotated[list[Check] | None, Given()]
OneCheck = Annotated[Check | None, Given()]
_CHECK = "How servers are tested; one check."
_CHECKS = "How servers are tested; several checks, `[]` for none. Instead of `health_check`."


class VipForm(Form):
    """An address that virtual services answer on. The address alone is enough."""

    address: Address = Field(description="IPv4 or IPv6 address.")
    interface: MaybeInterface = Field(
        default=None,
        description="Interface to put the address on. Default: the one whose subnet contains it, else `lo`.",
    )
    prefix: MaybePrefix = Field(
        default=None, description="Prefix length. Default: 32 for IPv4, 128 for IPv6."
    )
    announce: Boolean = Field(
        default=True,
        description="Send gratuitous ARP or unsolicited neighbour advertisements when it is added.",
    )
    managed: Boolean = Field(
        default=True,
        description="Add and remove the address; `no` if someone else, a routing daemon say, owns it.",
    )
    guard: MaybeBoolean = Field(
        default=None,
        description="Nothing but services answers on it, of the gateway's own ports none. Default: `guard_vips`.",
    )


class TunnelForm(Form):
    """The encapsulation of the tunnel method."""

    type: Encapsulation = Field(default=TunnelType.IPIP, description="Encapsulation.")
    port: MaybePort = Field(
        default=None, description="UDP port of `gue`, and only of that; required there."
    )
    checksum: Checksum = Field(
        default=TunnelChecksum.NONE,
        description="Checksum of the encapsulation: `csum` with gue and gre, `remcsum` (remote offload) with gue.",
    )


class PersistenceForm(Form):
    """A client stays on its server for a while after its last connection."""

    timeout: Annotated[int, whole_seconds(1, MAX_PERSISTENCE)] = Field(
        default=Seconds(300), description="How long after the last connection."
    )
    netmask: MaybeNetmask = Field(
        default=None,
        description="What is one client, over IPv4. Default: 255.255.255.255, each address.",
    )
    prefix: MaybePrefix = Field(
        default=None,
        description="The same as a prefix length, for IPv4 or IPv6. Default: 32 or 128.",
    )
    engine: MaybeEngine = Field(
        default=None,
        description="`sip` tells clients apart by SIP Call-ID instead of address; UDP only.",
    )


class QuorumForm(Form):
    """The least number of healthy servers. The number alone is enough."""

    servers: Count = Field(description="How many must be healthy.")
    hysteresis: Annotated[int, whole(0, 1000)] = Field(
        default=0, description="Lost below `servers` minus this, regained at `servers` plus this."
    )
    action: WhenLost = Field(
        default=QuorumAction.WITHDRAW,
        description="Without quorum: withdraw the VIP, or let the backup tier serve.",
    )


class SlowStartForm(Form):
    """A server that comes back gets its weight little by little. The duration alone is enough."""

    duration: Annotated[float, seconds(1, DAY)] = Field(description="Until the whole weight.")
    steps: Annotated[int, whole(1, 100)] = Field(default=10, description="In how many steps.")


class FlapDampingForm(Form):
    """A server that changes state too often is held down."""

    changes: Annotated[int, whole(2, 1000)] = Field(description="So many state changes ...")
    window: Annotated[float, seconds(1, DAY)] = Field(description="... within this time.")
    hold: Annotated[float, seconds(1, DAY)] = Field(
        description="How long it is held down at first; doubles each time."
    )
    max_hold: Annotated[float, seconds(1, 7 * DAY)] = Field(description="How long at most.")


class ServerSettings(Form):
    """What `defaults.server` can hold."""

    weight: Weight = Field(default=1, description="Share of new connections; 0 gets none.")
    upper_threshold: Threshold = Field(
        default=0,
        description="No new connections from this number of connections on; 0 is no limit.",
    )
    lower_threshold: Threshold = Field(
        default=0,
        description="New connections again below this number; 0 is three quarters of `upper_threshold`.",
    )


class ServerForm(ServerSettings):
    """A real server."""

    name: MaybeName = Field(
        default=None,
        description="Unique within its service or pool. Default: the address, with the port if one is given.",
    )
    address: Address = Field(description="IPv4 or IPv6 address.")
    port: MaybePort = Field(
        default=None,
        description="Port on the server; another than the service's only with masq. Default: the service's.",
    )
    forwarding: MaybeForwarding = Field(
        default=None, description="Forwarding method. Default: the service's."
    )
    tunnel: Annotated[TunnelForm | None, Given()] = Field(
        default=None, description="Encapsulation, with forwarding tunnel. Default: the service's."
    )
    backup: Tier = Field(
        default=0,
        description="A backup serves when no server of a lower tier can; `yes` is tier 1, `no` tier 0.",
    )
    disabled: Boolean = Field(default=False, description="Keep the server out of the kernel.")
    health_check: OneCheck = Field(default=None, description=f"{_CHECK} Default: the service's.")
    health_checks: Checks = Field(default=None, description=_CHECKS)


class PolicySettings(Form):
    """How probe results become weights."""

    on_down: WhenDown = Field(
        default=OnDown.REMOVE,
        description="A server that is down: take it out of the kernel, or keep it with weight 0.",
    )
    required: Required = Field(default=None, description="How many of a server's checks must pass.")
    panic_threshold: Share = Field(
        default=0,
        description="When a smaller share of the servers is healthy, checks are not believed; 0 is off.",
    )
    quorum: Annotated[QuorumForm | None, Shorthand("servers")] = Field(
        default=None, description="The least number of healthy servers."
    )
    slow_start: Annotated[SlowStartForm | None, Shorthand("duration")] = Field(
        default=None, description="Raise the weight of a server that comes back little by little."
    )
    flap_damping: Annotated[FlapDampingForm | None, Given()] = Field(
        default=None, description="Hold a server down that changes state too often."
    )
    drain_timeout: Annotated[float, seconds(0, 7 * DAY)] = Field(
        default=300.0, description="Time after which a draining server goes, connections or not."
    )
    vip_down_when: WhenVipGoes = Field(
        default=VipDownWhen.NEVER,
        description="Withdraw a VIP when any, or all, of its services cannot serve.",
    )


class ServiceSettings(PolicySettings):
    """What `defaults.service` can hold."""

    protocol: Protocol = Field(default=IPProtocol.TCP, description="Transport protocol.")
    scheduler: Scheduler = Field(
        default="wrr", description="How a server is chosen for a new connection."
    )
    flags: Annotated[list[SchedulerFlag], Listed()] = Field(
        default=[],
        description="Flags of the scheduler: sh-* with sh, mh-* with mh, flag-1 to flag-3 with any.",
    )
    forwarding: ForwardingMethod = Field(
        default=Forwarding.MASQ,
        description="How packets reach the servers; `local` is what the kernel makes of a server that is the gateway itself.",
    )
    tunnel: Annotated[TunnelForm | None, Given()] = Field(
        default=None, description="Encapsulation of servers with forwarding tunnel. Default: ipip."
    )
    persistence: Annotated[PersistenceForm | None, Shorthand("timeout", off=True)] = Field(
        default=None,
        description="Keep clients on their server; the duration alone is enough, `off` overrides a default.",
    )
    one_packet: Boolean = Field(
        default=False, description="Schedule every packet for itself; UDP only."
    )
    source_nat: Translation = Field(
        default=SourceNat.OFF,
        description="Translate clients in the servers' own subnet, so that answers return through the gateway; masq only.",
    )
    allow: Annotated[list[Network], Listed()] = Field(
        default=[],
        description="Networks of the clients that get in; others are dropped before IPVS sees them. Default: everyone.",
    )
    health_check: OneCheck = Field(default=None, description=f"{_CHECK} Default: none.")
    health_checks: Checks = Field(default=None, description=_CHECKS)


class ServiceForm(ServiceSettings):
    """Virtual services that share settings and servers: one for each address and port."""

    name: Name = Field(description="Unique in the whole configuration.")
    vip: Annotated[VipForm | None, Shorthand("address")] = Field(
        default=None, description="Address to answer on."
    )
    vips: list[Annotated[VipForm, Shorthand("address")]] = Field(
        default=[],
        description="Several addresses, a VIP and its floating IP say. Instead of `vip`.",
    )
    port: Annotated[list[PortRange], Listed()] = Field(
        default=[], description="Port; the same as `ports`."
    )
    ports: Annotated[list[PortRange], Listed()] = Field(
        default=[], description="Ports and ranges `8000-8010`; 0 is all ports, with persistence."
    )
    fwmark: MaybeMark = Field(
        default=None,
        description="Firewall mark that tells the service's packets, instead of protocol and ports.",
    )
    family: MaybeFamily = Field(
        default=None, description="Address family, with fwmark only. Default: the VIPs', else ipv4."
    )
    pool: MaybeName = Field(
        default=None, description="The named pool whose servers serve. Instead of `servers`."
    )
    servers: list[ServerForm] = Field(
        default=[], description="The real servers; `[]` for none yet."
    )


class PoolForm(Form):
    """Servers that several services share."""

    servers: list[ServerForm] = Field(description="The real servers.")
    health_check: OneCheck = Field(
        default=None, description=f"{_CHECK} A service's own come first."
    )
    health_checks: Checks = Field(default=None, description=_CHECKS)


class DefaultsForm(Form):
    """What services, servers and health checks have where they do not say otherwise."""

    service: ServiceSettings = Field(default=ServiceSettings(), description="Settings of services.")
    server: ServerSettings = Field(default=ServerSettings(), description="Settings of servers.")
    health_check: CheckSettings = Field(
        default=CheckSettings(), description="Settings of health checks."
    )


class TimeoutsForm(Form):
    """How long the kernel keeps an idle connection; one setting for all services."""

    tcp: Annotated[int, whole_seconds(1, MAX_TIMEOUT)] = Field(
        default=Seconds(900), description="Established TCP connections."
    )
    tcp_fin: Annotated[int, whole_seconds(1, MAX_TIMEOUT)] = Field(
        default=Seconds(120), description="TCP connections after a FIN."
    )
    udp: Annotated[int, whole_seconds(1, MAX_TIMEOUT)] = Field(
        default=Seconds(300), description="UDP connections."
    )


class SyncForm(Form):
    """A daemon that sends the connection table to other gateways, or receives it."""

    role: Role = Field(description="`master` sends, `backup` receives.")
    interface: Interface = Field(description="Interface to use.")
    id: Annotated[int, whole(0, 255)] = Field(
        # the key's name
        default=0,
        description="Number of the group; a backup with 0 accepts all.",
    )
    max_length: Annotated[int, whole(1024, 65507)] = Field(
        default=0, description="Bytes of a message at most; 0 follows the interface's MTU."
    )
    group: MaybeGroup = Field(default=None, description="Multicast group. Default: 224.0.0.81.")
    port: MaybePort = Field(default=None, description="UDP port. Default: 8848.")
    ttl: Annotated[int, whole(0, 255)] = Field(
        default=0, description="Time to live of the packets; 0 is the kernel's 1."
    )


class DaemonForm(Form):
    """How `ipvs-lb run` works."""

    reconcile_interval: Annotated[float, seconds(1, HOUR)] = Field(
        default=Seconds(10),
        description="How often the whole table is read from the kernel and compared.",
    )
    drift: WhenDrifted = Field(
        default=Drift.REPAIR,
        description="What others changed in the kernel is set right, or only reported.",
    )
    watch: Boolean = Field(
        default=False,
        description="Reload when this file or an included one changes; a change counts when nothing more has changed "
        "for a second. Where inotify does not tell of every change (NFS, FUSE), files are looked at each second.",
    )
    probe_marks: Annotated[int, whole(1, MAX_MARK + 1 - PROBE_MARKS)] = Field(
        default=DaemonSettings().probe_marks,
        description=f"First of the {PROBE_MARKS} firewall marks that are set aside for checks `via: vip`. Choose others "
        "where rules of yours look at marks of that range.",
    )


class IncludedForm(Form):
    """What an included file can hold."""

    version: Annotated[int, whole(1, 1)] = Field(default=1, description="Version of the format: 1.")
    include: Annotated[list[Annotated[str, text("file or pattern")]], Listed()] = Field(
        default=[],
        description="Files with more pools and services, relative to this file; the last part may be a pattern "
        "(`conf.d/*.yaml`).",
    )
    pools: dict[Name, PoolForm] = Field(default={}, description="Named server pools.")
    services: list[ServiceForm] = Field(default=[], description="The services.")


class RootForm(IncludedForm):
    """The configuration."""

    version: Annotated[int, whole(1, 1)] = Field(description="Version of the format: 1.")
    defaults: DefaultsForm = Field(
        default=DefaultsForm(), description="What holds where nothing else is said."
    )
    timeouts: Annotated[TimeoutsForm | None, Given()] = Field(
        default=None,
        description="How long the kernel keeps idle connections. Default: left as they are.",
    )
    sync: list[SyncForm] = Field(
        default=[], description="Connection synchronization. Default: left as it is."
    )
    daemon: DaemonForm = Field(default=DaemonForm(), description="How the daemon works.")
    api: ApiForm = Field(default=ApiForm(), description="The daemon's API on TCP.")
    hooks: list[HookForm] = Field(default=[], description="Whom the daemon tells of events.")
    networks: list[NetworkForm] = Field(
        default=[], description="Where the compatible API has its addresses from."
    )
    octavia: Annotated[OctaviaForm | None, Given()] = Field(
        default=None, description="The API that OpenStack's clients speak to. Default: none."
    )
    metrics: Annotated[MetricsForm | None, Given()] = Field(
        default=None, description="What is shown to Prometheus. Default: all, on the API's ways."
    )
    manage_sysctls: Boolean = Field(
        default=False,
        description="Set kernel parameters the configuration needs; else they are only named.",
    )
    guard_vips: Boolean = Field(
        default=False,
        description="On VIPs nothing but services answers: what listens on the gateway itself does not. Those of the "
        "compatible API are among them.",
    )
