"""The shape of every answer, for the type checker here and as schemas in the OpenAPI document.

Within one version of the API, members are only ever added.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12

Seconds = float
Time = float
"""Unix seconds."""


class Rates(TypedDict):
    """Per second, as the kernel estimates it."""

    connections: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int


class Traffic(TypedDict):
    """Totals since the last zeroing."""

    connections: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int
    per_second: Rates


class Tunnel(TypedDict):
    """How packets to the server are wrapped."""

    type: str
    port: int
    checksum: str


class Persistence(TypedDict, total=False):
    """How long a client stays on its server, and what counts as one client."""

    timeout: int
    netmask: str
    prefix_length: int


class Override(TypedDict):
    """A standing order of an operator."""

    action: Literal["up", "down", "drain", "weight"]
    weight: int | None
    since: Time
    expires: Time | None
    reason: str
    who: str


class LastError(TypedDict):
    """The newest failure among the kept results of a server's checks."""

    at: Time
    check: str
    error: str
    detail: str


class Server(TypedDict):
    """A real server of one virtual service.

    `weight` is the wanted one (null: out of the table), `kernel_weight` the one last seen in the kernel (null: not
    there, or not known), `full_weight` the one it has when nothing holds it back. `why` are sentences. `since` is when
    what decided about it began, `until` when that ends or takes its next step by itself.
    """

    service: str
    service_name: str | None
    name: str | None
    address: str
    port: int
    forwarding: str
    weight: int | None
    full_weight: int | None
    kernel_weight: int | None
    upper_threshold: int
    lower_threshold: int
    tunnel: Tunnel | None
    tier: int | None
    state: str
    health: Literal["up", "down", "unknown", "unchecked"]
    rule: str | None
    why: list[str]
    since: Time | None
    until: Time | None
    override: Override | None
    last_error: LastError | None
    active_connections: int | None
    inactive_connections: int | None
    persistent_connections: int | None
    traffic: Traffic | None


class _Key(TypedDict, total=False):
    protocol: str
    vip: str
    port: int
    fwmark: int
    family: str


class ServiceSummary(_Key):
    """A virtual service without its servers.

    `tier` serves now (null: none can). `healthy` of `counted` servers are not failing; `live` servers of the first
    tier could serve. `states` counts the servers by state.
    """

    service: str
    name: str | None
    owner: Literal["ours", "foreign"]
    generation: int | None
    scheduler: str
    scheduler_flags: list[str]
    persistence: Persistence | None
    persistence_engine: str | None
    one_packet: bool
    in_kernel: bool | None
    serves: bool
    tier: int | None
    healthy: int | None
    counted: int | None
    live: int | None
    panicking: bool
    quorum_lost: bool
    states: dict[str, int]
    traffic: Traffic | None


class Service(ServiceSummary):
    """A virtual service with its servers."""

    servers: list[Server]


class VipView(TypedDict):
    """An address that services answer on, whether it is to be up, and why not."""

    address: str
    up: bool
    because: list[str]
    why: list[str]


class KernelView(TypedDict):
    """How the kernel's table stands: when it was last found or made equal to the decision, and what was repaired."""

    ipvs_version: str | None
    connection_table_size: int | None
    error: str | None
    reconciled: Time | None
    drifted: int


class GenerationView(TypedDict):
    """A state that was put in force."""

    generation: int
    created: Time
    origin: str
    service_count: int
    server_count: int


class SyncDaemonView(TypedDict):
    """A connection synchronisation daemon of the kernel."""

    role: str
    interface: str
    sync_id: int
    max_length: int
    group: str | None
    port: int
    ttl: int


class TimeoutsView(TypedDict):
    """Idle times after which the kernel forgets a connection."""

    tcp: int
    tcp_fin: int
    udp: int


class Health(TypedDict):
    """Whether the gateway does its work: `failing` is an outage, `degraded` is somebody's work for today.

    `unknown` comes from the command line, when the daemon does not answer.
    """

    schema: str
    status: Literal["fine", "degraded", "failing", "unknown"]
    reasons: list[str]


class Overview(TypedDict):
    """The gateway itself."""

    schema: str
    source: Literal["daemon"]
    version: str
    at: Time
    started: Time
    origin: str
    health: Health
    config_error: list[str]
    last_event: int
    kernel: KernelView
    generation: GenerationView | None
    timeouts: TimeoutsView | None
    sync_daemons: list[SyncDaemonView]
    vips: list[VipView]


class Status(Overview):
    """The gateway with everything in it."""

    services: list[Service]


class Services(TypedDict):
    """Virtual services."""

    schema: str
    at: Time
    services: list[ServiceSummary]


class Servers(TypedDict):
    """Servers, each with its service."""

    schema: str
    at: Time
    servers: list[Server]


class Names(TypedDict):
    """What can be typed."""

    schema: str
    services: list[str]
    servers: list[str]


class TimingsView(TypedDict):
    """Seconds from the start of the probe until each phase was over; null where it was not reached."""

    connect: Seconds | None
    tls: Seconds | None
    first_byte: Seconds | None
    total: Seconds


class ResultView(TypedDict):
    """One execution of a check, when it ended and how."""

    at: Time
    passed: bool
    error: str | None
    detail: str
    timings: TimingsView
    weight: int | None


class CheckView(TypedDict):
    """A check of a server: what is believed, how far it is from changing, and its last results, oldest first.

    `streak` results in a row contradict `status`. `shared_by` servers are judged by the same probe.
    """

    check: str
    type: str
    target: str
    through: str | None
    interval: Seconds
    timeout: Seconds
    rise: int
    fall: int
    status: Literal["up", "down", "unknown"]
    adopted: bool
    streak: int
    since: Time | None
    shared_by: int
    results: list[ResultView]


class Explained(TypedDict):
    """A server with the reasons for its state, what would change it, and its checks."""

    server: Server
    state: str
    why: list[str]
    change: list[str]
    checks: list[CheckView]


class Explanations(TypedDict):
    """Why servers are where they are."""

    schema: str
    at: Time
    servers: list[Explained]


class Skipped(TypedDict):
    """A server that was meant and cannot follow an order."""

    service: str
    name: str | None
    reason: str


class Ordered(TypedDict):
    """The servers an order was given to, as they are right after, and those it could not be given to."""

    schema: str
    at: Time
    servers: list[Server]
    skipped: list[Skipped]


class Checked(TypedDict):
    """One probe that was executed, and the servers it judges among those that were asked for."""

    check: str
    type: str
    target: str
    through: str | None
    servers: list[str]
    result: ResultView


class CheckResults(TypedDict):
    """What came of probing now; `unchecked` servers have no checks."""

    schema: str
    passed: bool
    probes: list[Checked]
    unchecked: list[str]


class EventView(TypedDict):
    """One thing that happened."""

    number: int
    at: Time
    name: str
    level: Literal["info", "warning", "error"]
    facts: dict[str, str | int | float | bool | None]


class Events(TypedDict):
    """Kept events, oldest first; `lost`: older ones after the number asked for are not kept any more."""

    schema: str
    events: list[EventView]
    last: int
    lost: bool


class Done(TypedDict):
    """An order without a result of its own was carried out."""

    schema: str
    done: str
    service_count: int
    server_count: int


class Problem(TypedDict):
    """Why a request was refused: `kind` is a class of error, `hint` the next thing to do, `problems` one line each."""

    kind: str
    message: str
    hint: str | None
    problems: list[str]


class Refused(TypedDict):
    """Any answer other than success; nothing was changed."""

    error: Problem
