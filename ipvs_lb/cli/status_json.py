"""What is in the kernel, as JSON: schema `ipvs_lb/status/1`."""

from __future__ import annotations

from ipvs_lb.cli.origins import Origin, Snapshot
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import ServiceStatistics
from ipvs_lb.serial import (
    JSON,
    counters_to_json,
    daemon_to_json,
    key_to_json,
    server_counters_to_json,
    server_to_json,
    service_to_json,
    summary_to_json,
    timeouts_to_json,
)

STATUS_SCHEMA = "ipvs_lb/status/1"


def status_to_json(snapshot: Snapshot) -> dict[str, JSON]:
    """*snapshot* with everything in it."""
    table = snapshot.table
    version = ".".join(map(str, snapshot.kernel.version))
    return {
        "schema": STATUS_SCHEMA,
        "source": "kernel",
        "kernel": {
            "ipvs_version": version,
            "connection_table_size": snapshot.kernel.connection_table_size,
        },
        "generation": None if snapshot.newest is None else summary_to_json(snapshot.newest),
        "services": [_service_to_json(snapshot, key) for key in table.services],
        "timeouts": None if table.timeouts is None else timeouts_to_json(table.timeouts),
        "sync_daemons": [daemon_to_json(daemon) for daemon in (table.daemons or {}).values()],
    }


def _service_to_json(snapshot: Snapshot, key: ServiceKey) -> dict[str, JSON]:
    virtual, origin = snapshot.table.services[key], snapshot.origins[key]
    statistics = snapshot.statistics.get(key, ServiceStatistics())
    nothing = ServerCounters()
    return {
        **key_to_json(key),
        **_origin_to_json(origin),
        **service_to_json(virtual.service),
        "traffic": counters_to_json(statistics.traffic),
        "servers": [
            {
                "name": origin.servers.get(server_key),
                **server_to_json(server_key, server),
                **server_counters_to_json(statistics.servers.get(server_key, nothing)),
            }
            for server_key, server in virtual.servers.items()
        ],
    }


def _origin_to_json(origin: Origin) -> dict[str, JSON]:
    return {"name": origin.name, "owner": origin.owner.value, "generation": origin.generation}
