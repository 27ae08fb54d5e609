"""Every family of series there is, in the order in which they are shown."""

from __future__ import annotations

from ipvs_lb.metrics.text import Family, Kind

_SERVICE = ("service", "virtual_service")
_SERVER = (*_SERVICE, "server", "address")
_ROW = ("local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark")
_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM


def _family(
    name: str, kind: Kind, meaning: str, labels: tuple[str, ...] = (), *, unit: str = ""
) -> Family:
    of_server = labels in (_SERVER, (*_SERVER, "state"), _ROW)
    return Family(
        name=name, kind=kind, meaning=meaning, labels=labels, unit=unit, of_server=of_server
    )


BUILD_INFO = _family(
    "ipvs_lb_build_info",
    _GAUGE,
    "Always 1; the labels say what is running.",
    ("version", "python_version"),
)
KERNEL_UP = _family("ipvs_lb_kernel_up", _GAUGE, "Whether the kernel's IPVS answers.")
KERNEL_FAILURES = _family(
    "ipvs_lb_kernel_failures_total",
    _COUNTER,
    "Times the kernel refused or did not answer; each is tried again.",
)
HOST_FAILURES = _family(
    "ipvs_lb_host_failures_total",
    _COUNTER,
    "Times an address, the firewall, a sysctl or the state directory could not be read or changed.",
)
RECONCILE_DURATION = _family(
    "ipvs_lb_reconcile_duration_seconds",
    _HISTOGRAM,
    "How long comparing and repairing the whole kernel table took, where it succeeded.",
    unit="seconds",
)
RECONCILE_LAST = _family(
    "ipvs_lb_reconcile_last_success_timestamp_seconds",
    _GAUGE,
    "When everything was last found or made as it should be; 0: never yet.",
    unit="Unix time",
)
RECONCILE_INTERVAL = _family(
    "ipvs_lb_reconcile_interval_seconds",
    _GAUGE,
    "How often that is to happen, as configured.",
    unit="seconds",
)
PLAN_COMMANDS = _family(
    "ipvs_lb_plan_commands",
    _HISTOGRAM,
    "Commands in each change of the kernel table.",
    unit="commands",
)
DRIFT = _family(
    "ipvs_lb_drift_total",
    _COUNTER,
    "Times others had changed what is ours in the kernel, and what was done about it.",
    ("action",),
)
CONFIG_GENERATION = _family(
    "ipvs_lb_config_generation", _GAUGE, "Number of the configuration in force; 0: none yet."
)
CONFIG_RELOADS = _family(
    "ipvs_lb_config_reloads_total",
    _COUNTER,
    "Reloads by what came of them: loaded, or refused and the old one goes on.",
    ("outcome",),
)
CONFIG_SUCCESSFUL = _family(
    "ipvs_lb_config_last_reload_successful",
    _GAUGE,
    "Whether the configuration that was to be loaded last is in force.",
)
CONFIG_LOADED = _family(
    "ipvs_lb_config_last_reload_success_timestamp_seconds",
    _GAUGE,
    "When the configuration in force was read.",
    unit="Unix time",
)
PROBES = _family("ipvs_lb_probes", _GAUGE, "Different checks that are carried out.")
PROBE_USERS = _family(
    "ipvs_lb_probe_users",
    _GAUGE,
    "Checks that these stand for: as many would be carried out if equal ones were not shared.",
)
PROBE_DURATION = _family(
    "ipvs_lb_probe_duration_seconds",
    _HISTOGRAM,
    "How long checks took, whatever came of them, by type of check.",
    ("check",),
    unit="seconds",
)
PROBE_RESULTS = _family(
    "ipvs_lb_probe_results_total",
    _COUNTER,
    "Results of checks, by type of check: passed, or the class of the error.",
    ("check", "result"),
)
SERVICE_UP = _family(
    "ipvs_lb_service_up",
    _GAUGE,
    "Whether a virtual service has a server for new connections.",
    _SERVICE,
)
SERVICE_SERVERS = _family(
    "ipvs_lb_service_servers", _GAUGE, "Servers in each state.", (*_SERVICE, "state")
)
SERVICE_TIER = _family(
    "ipvs_lb_service_tier",
    _GAUGE,
    "The tier of servers that serves, 0 the first; -1: none does.",
    _SERVICE,
)
SERVICE_PANICKING = _family(
    "ipvs_lb_service_panicking",
    _GAUGE,
    "Whether too few servers are healthy for the checks to be believed.",
    _SERVICE,
)
SERVICE_QUORUM_LOST = _family(
    "ipvs_lb_service_quorum_lost",
    _GAUGE,
    "Whether fewer servers are healthy than the quorum.",
    _SERVICE,
)
SERVICE_TRANSITIONS = _family(
    "ipvs_lb_service_transitions_total",
    _COUNTER,
    "Times a server of the virtual service went up or down.",
    (*_SERVICE, "to"),
)
SERVICE_CONNECTIONS = _family(
    "ipvs_lb_service_connections_total",
    _COUNTER,
    "Connections scheduled, as the kernel counts.",
    _SERVICE,
)
SERVICE_IN_PACKETS = _family(
    "ipvs_lb_service_incoming_packets_total", _COUNTER, "Packets from clients.", _SERVICE
)
SERVICE_OUT_PACKETS = _family(
    "ipvs_lb_service_outgoing_packets_total",
    _COUNTER,
    "Packets to clients, where they come back this way (masq).",
    _SERVICE,
)
SERVICE_IN_BYTES = _family(
    "ipvs_lb_service_incoming_bytes_total",
    _COUNTER,
    "Bytes from clients.",
    _SERVICE,
    unit="bytes",
)
SERVICE_OUT_BYTES = _family(
    "ipvs_lb_service_outgoing_bytes_total",
    _COUNTER,
    "Bytes to clients, where they come back this way (masq).",
    _SERVICE,
    unit="bytes",
)
VIP_UP = _family(
    "ipvs_lb_vip_up", _GAUGE, "Whether a VIP is to be there; 0: it is withdrawn.", ("vip",)
)
OVERRIDES = _family(
    "ipvs_lb_overrides", _GAUGE, "Standing orders of operators on servers.", ("action",)
)
EVENTS = _family(
    "ipvs_lb_events_total",
    _COUNTER,
    "Events since the start; docs/reference/events.md says what each means.",
    ("event", "level"),
)
HOOK_FAILURES = _family(
    "ipvs_lb_hook_calls_failed_total", _COUNTER, "Calls of a hook that were given up.", ("hook",)
)
HOOK_DROPS = _family(
    "ipvs_lb_hook_events_dropped_total",
    _COUNTER,
    "Events for which there was no room while a hook was told of earlier ones.",
    ("hook",),
)
API_REQUESTS = _family(
    "ipvs_lb_api_requests_total",
    _COUNTER,
    "Requests that were answered: of the daemon's own API, the Octavia-compatible one, or metrics.",
    ("face", "method", "route", "code"),
)
API_REFUSED = _family(
    "ipvs_lb_api_connections_refused_total",
    _COUNTER,
    "Connections that ended without an answer of these.",
    ("face", "reason"),
)
SERVER_UP = _family(
    "ipvs_lb_server_up", _GAUGE, "Whether a real server takes new connections.", _SERVER
)
SERVER_STATE = _family(
    "ipvs_lb_server_state",
    _GAUGE,
    "Always 1; the label says what the server is doing, as `ipvs-lb status` does.",
    (*_SERVER, "state"),
)
SERVER_WEIGHT = _family(
    "ipvs_lb_server_weight",
    _GAUGE,
    "The weight that is decided for it; 0 also where it is out.",
    _SERVER,
)
SERVER_CONNECTIONS = _family(
    "ipvs_lb_server_connections_total",
    _COUNTER,
    "Connections scheduled to it since it was put in the kernel.",
    _SERVER,
)
SERVER_IN_BYTES = _family(
    "ipvs_lb_server_incoming_bytes_total",
    _COUNTER,
    "Bytes from clients to it.",
    _SERVER,
    unit="bytes",
)
SERVER_OUT_BYTES = _family(
    "ipvs_lb_server_outgoing_bytes_total",
    _COUNTER,
    "Bytes from it to clients, where they come back this way (masq).",
    _SERVER,
    unit="bytes",
)
NODE_TOTALS = (
    _family("node_ipvs_connections_total", _COUNTER, "The total number of connections made."),
    _family("node_ipvs_incoming_packets_total", _COUNTER, "The total number of incoming packets."),
    _family("node_ipvs_outgoing_packets_total", _COUNTER, "The total number of outgoing packets."),
    _family(
        "node_ipvs_incoming_bytes_total",
        _COUNTER,
        "The total amount of incoming data.",
        unit="bytes",
    ),
    _family(
        "node_ipvs_outgoing_bytes_total",
        _COUNTER,
        "The total amount of outgoing data.",
        unit="bytes",
    ),
)
NODE_WEIGHT = _family(
    "node_ipvs_backend_weight",
    _GAUGE,
    "The current backend weight by local and remote address.",
    _ROW,
)
NODE_ACTIVE = _family(
    "node_ipvs_backend_connections_active",
    _GAUGE,
    "The current active connections by local and remote address.",
    _ROW,
)
NODE_INACTIVE = _family(
    "node_ipvs_backend_connections_inactive",
    _GAUGE,
    "The current inactive connections by local and remote address.",
    _ROW,
)
PROCESS_CPU = _family(
    "process_cpu_seconds_total",
    _COUNTER,
    "User and system CPU time of the daemon.",
    unit="seconds",
)
PROCESS_MEMORY = _family(
    "process_resident_memory_bytes", _GAUGE, "Resident memory of the daemon.", unit="bytes"
)
PROCESS_START = _family(
    "process_start_time_seconds", _GAUGE, "When the daemon started.", unit="Unix time"
)
PROCESS_FDS = _family("process_open_fds", _GAUGE, "Open file descriptors of the daemon.")
PROCESS_MAX_FDS = _family("process_max_fds", _GAUGE, "How many it may have.")

FAMILIES: tuple[Family, ...] = (
    BUILD_INFO,
    KERNEL_UP,
    KERNEL_FAILURES,
    HOST_FAILURES,
    RECONCILE_DURATION,
    RECONCILE_LAST,
    RECONCILE_INTERVAL,
    PLAN_COMMANDS,
    DRIFT,
    CONFIG_GENERATION,
    CONFIG_RELOADS,
    CONFIG_SUCCESSFUL,
    CONFIG_LOADED,
    PROBES,
    PROBE_USERS,
    PROBE_DURATION,
    PROBE_RESULTS,
    OVERRIDES,
    EVENTS,
    HOOK_FAILURES,
    HOOK_DROPS,
    API_REQUESTS,
    API_REFUSED,
    VIP_UP,
    SERVICE_UP,
    SERVICE_SERVERS,
    SERVICE_TIER,
    SERVICE_PANICKING,
    SERVICE_QUORUM_LOST,
    SERVICE_TRANSITIONS,
    SERVICE_CONNECTIONS,
    SERVICE_IN_PACKETS,
    SERVICE_OUT_PACKETS,
    SERVICE_IN_BYTES,
    SERVICE_OUT_BYTES,
    SERVER_UP,
    SERVER_STATE,
    SERVER_WEIGHT,
    SERVER_CONNECTIONS,
    SERVER_IN_BYTES,
    SERVER_OUT_BYTES,
    *NODE_TOTALS,
    NODE_WEIGHT,
    NODE_ACTIVE,
    NODE_INACTIVE,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_START,
    PROCESS_FDS,
    PROCESS_MAX_FDS,
)
