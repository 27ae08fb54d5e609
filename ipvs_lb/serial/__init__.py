"""Model values as plain JSON values with stable schemas, and back where something reads them.

Pure: no files, no encoding; `json` does the rest. The schemas are described in docs/reference/json.md.
"""

from ipvs_lb.serial.commands import command_to_json, host_command_to_json
from ipvs_lb.serial.desired import (
    GENERATION_SCHEMA,
    desired_from_json,
    desired_to_json,
    generation_from_json,
    generation_to_json,
    place_to_json,
    summary_to_json,
    sysctl_to_json,
)
from ipvs_lb.serial.events import event_to_json
from ipvs_lb.serial.reading import JSON, MalformedError
from ipvs_lb.serial.statistics import counters_to_json, server_counters_to_json
from ipvs_lb.serial.table import (
    TABLE_SCHEMA,
    daemon_to_json,
    flag_names,
    key_to_json,
    server_to_json,
    service_to_json,
    table_from_json,
    table_to_json,
    timeouts_to_json,
    virtual_service_to_json,
)

__all__ = [
    "GENERATION_SCHEMA",
    "JSON",
    "TABLE_SCHEMA",
    "MalformedError",
    "command_to_json",
    "counters_to_json",
    "daemon_to_json",
    "desired_from_json",
    "desired_to_json",
    "event_to_json",
    "flag_names",
    "generation_from_json",
    "generation_to_json",
    "host_command_to_json",
    "key_to_json",
    "place_to_json",
    "server_counters_to_json",
    "server_to_json",
    "service_to_json",
    "summary_to_json",
    "sysctl_to_json",
    "table_from_json",
    "table_to_json",
    "timeouts_to_json",
    "virtual_service_to_json",
]
