"""Objects as the API shows them, field by field in Octavia's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial

from ipvs_lb.octavia.catalogue import Catalogue, Tree
from ipvs_lb.octavia.objects import (
    AnyObject,
    HealthMonitor,
    Kind,
    Listener,
    LoadBalancer,
    Member,
    Operating,
    Pool,
    SessionPersistence,
)
from ipvs_lb.serial import JSON

Shown = dict[str, JSON]
Status = Callable[[AnyObject], Operating]
_TIMES = 8192
"""Times that are remembered in their written form, which takes longer to make than all else of a row."""


_OF_ALL = "id name provisioning_status operating_status admin_state_up project_id tenant_id created_at updated_at tags"
FIELD_NAMES: Mapping[Kind, tuple[str, ...]] = {
    kind: tuple(f"{_OF_ALL} {own}".split())
    for kind, own in {
        Kind.LOAD_BALANCER: "description vip_address vip_port_id vip_subnet_id vip_network_id provider flavor_id"
        " vip_qos_policy_id availability_zone vip_vnic_type",
        Kind.LISTENER: "description protocol protocol_port connection_limit default_tls_container_ref default_pool_id"
        " timeout_client_data timeout_member_connect timeout_member_data timeout_tcp_inspect"
        " client_ca_tls_container_ref client_authentication client_crl_container_ref tls_ciphers hsts_max_age"
        " hsts_include_subdomains hsts_preload",
        Kind.POOL: "description protocol lb_algorithm tls_container_ref ca_tls_container_ref crl_container_ref"
        " tls_enabled tls_ciphers",
        Kind.MEMBER: "address protocol_port weight backup subnet_id monitor_address monitor_port vnic_type",
        Kind.HEALTH_MONITOR: "type delay timeout max_retries max_retries_down http_method url_path expected_codes"
        " http_version domain_name",
    }.items()
}
"""The fields that have one value each, by which lists can be sorted and filtered."""


def shown(thing: AnyObject, catalogue: Catalogue, status: Status) -> Shown:
    """*thing* as a client sees it."""
    seen: Shown = {"operating_status": status(thing).value}
    return in_itself(thing) | seen | _own(thing, catalogue)


def in_itself(thing: AnyObject) -> Shown:
    """What is shown of every kind of object, and known without looking at anything else."""
    return {
        "id": thing.id,
        "name": thing.name,
        "provisioning_status": thing.provisioning.value,
        "admin_state_up": thing.admin_state_up,
        "project_id": thing.project_id,
        "tenant_id": thing.project_id,
        "created_at": _time(thing.created_at),
        "updated_at": _time(thing.updated_at),
        "tags": [*thing.tags],
    }


def _own(thing: AnyObject, catalogue: Catalogue) -> Shown:
    match thing:
        case LoadBalancer():
            return _load_balancer(thing, catalogue)
        case Listener():
            return _listener(thing)
        case Pool():
            return _pool(thing, catalogue)
        case Member():
            return _member(thing)
        case HealthMonitor():
            return _monitor(thing)


def _load_balancer(thing: LoadBalancer, catalogue: Catalogue) -> Shown:
    return {
        "description": thing.description,
        "vip_address": str(thing.vip.address),
        "vip_port_id": thing.vip.port_id,
        "vip_subnet_id": thing.vip.subnet_id,
        "vip_network_id": thing.vip.network_id,
        "vip_sg_ids": [],
        "additional_vips": [
            {"subnet_id": vip.subnet_id, "ip_address": str(vip.address), "port_id": vip.port_id}
            for vip in thing.additional_vips
        ],
        "listeners": [{"id": one.id} for one in catalogue.listeners_of(thing.id)],
        "pools": [{"id": one.id} for one in catalogue.pools_of(thing.id)],
        "provider": thing.provider,
        "flavor_id": None,
        "vip_qos_policy_id": None,
        "availability_zone": None,
        "vip_vnic_type": "normal",
    }


def _listener(thing: Listener) -> Shown:
    return {
        "description": thing.description,
        "protocol": thing.protocol,
        "protocol_port": thing.protocol_port,
        "connection_limit": thing.connection_limit,
        "default_tls_container_ref": None,
        "sni_container_refs": [],
        "default_pool_id": thing.default_pool_id,
        "l7policies": [],
        "insert_headers": {},
        "loadbalancers": [{"id": thing.load_balancer_id}],
        "timeout_client_data": thing.timeout_client_data,
        "timeout_member_connect": thing.timeout_member_connect,
        "timeout_member_data": thing.timeout_member_data,
        "timeout_tcp_inspect": thing.timeout_tcp_inspect,
        "client_ca_tls_container_ref": None,
        "client_authentication": "NONE",
        "client_crl_container_ref": None,
        "allowed_cidrs": None if thing.allowed_cidrs is None else [*thing.allowed_cidrs],
        "tls_ciphers": None,
        "tls_versions": None,
        "alpn_protocols": None,
        "hsts_max_age": None,
        "hsts_include_subdomains": False,
        "hsts_preload": False,
    }


def _pool(thing: Pool, catalogue: Catalogue) -> Shown:
    monitor = catalogue.monitor_of(thing.id)
    body: Shown = {
        "description": thing.description,
        "protocol": thing.protocol,
        "lb_algorithm": thing.lb_algorithm.value,
        "session_persistence": _persistence(thing.session_persistence),
        "loadbalancers": [{"id": thing.load_balancer_id}],
        "listeners": [{"id": one.id} for one in catalogue.listeners_using(thing)],
        "members": [{"id": one.id} for one in catalogue.members_of(thing.id)],
        "tls_container_ref": None,
        "ca_tls_container_ref": None,
        "crl_container_ref": None,
        "tls_enabled": False,
        "tls_ciphers": None,
        "tls_versions": None,
        "alpn_protocols": None,
    }
    return body if monitor is None else {**body, "healthmonitor_id": monitor.id}


def _persistence(wanted: SessionPersistence | None) -> JSON:
    if wanted is None:
        return None
    return {
        "type": "SOURCE_IP",
        "cookie_name": None,
        "persistence_timeout": wanted.timeout,
        "persistence_granularity": wanted.granularity,
    }


def _member(thing: Member) -> Shown:
    return {
        "address": str(thing.address),
        "protocol_port": thing.protocol_port,
        "weight": thing.weight,
        "backup": thing.backup,
        "subnet_id": thing.subnet_id,
        "monitor_address": None if thing.monitor_address is None else str(thing.monitor_address),
        "monitor_port": thing.monitor_port,
        "vnic_type": "normal",
    }


def _monitor(thing: HealthMonitor) -> Shown:
    return {
        "type": thing.type,
        "delay": thing.delay,
        "timeout": thing.timeout,
        "max_retries": thing.max_retries,
        "max_retries_down": thing.max_retries_down,
        "http_method": thing.http_method,
        "url_path": thing.url_path,
        "expected_codes": thing.expected_codes,
        "pools": [{"id": thing.pool_id}],
        "http_version": thing.http_version,
        "domain_name": thing.domain_name,
    }


def full_tree(tree: Tree, catalogue: Catalogue, status: Status) -> Shown:
    """A load balancer with its listeners and pools in full, as a single-call create answers."""
    inside = partial(_inside, catalogue=catalogue, status=status)
    return shown(tree.load_balancer, catalogue, status) | {
        "listeners": [inside(listener) for listener in tree.listeners],
        "pools": [_full_pool(pool, tree, inside) for pool in tree.pools],
    }


def _inside(thing: AnyObject, catalogue: Catalogue, status: Status) -> Shown:
    """*thing* without what it belongs to, which is around it."""
    around = {"loadbalancers", "healthmonitor_id", "pools"}
    body = shown(thing, catalogue, status)
    return {name: value for name, value in body.items() if name not in around}


def _full_pool(pool: Pool, tree: Tree, inside: Callable[[AnyObject], Shown]) -> Shown:
    monitor = tree.monitors.get(pool.id)
    return inside(pool) | {
        "members": [inside(member) for member in tree.members[pool.id]],
        "healthmonitor": None if monitor is None else inside(monitor),
    }


def status_tree(tree: Tree, status: Status) -> Shown:
    """The states of a load balancer and what is under its listeners."""
    pools: Mapping[str, JSON] = {pool.id: _pool_states(pool, tree, status) for pool in tree.pools}
    listeners: list[JSON] = []
    for listener in tree.listeners:
        under = [] if listener.default_pool_id is None else [pools[listener.default_pool_id]]
        listeners.append(_states(listener, status) | {"pools": under})
    body = _states(tree.load_balancer, status) | {"listeners": listeners}
    return {"statuses": {Kind.LOAD_BALANCER.value: body}}


def _pool_states(pool: Pool, tree: Tree, status: Status) -> Shown:
    body = _states(pool, status)
    monitor = tree.monitors.get(pool.id)
    body["health_monitor"] = (
        None if monitor is None else _states(monitor, status) | {"type": monitor.type}
    )
    body["members"] = [
        _states(member, status)
        | {"address": str(member.address), "protocol_port": member.protocol_port}
        for member in tree.members[pool.id]
    ]
    return body


def _states(thing: AnyObject, status: Status) -> Shown:
    return {
        "id": thing.id,
        "name": thing.name,
        "operating_status": status(thing).value,
        "provisioning_status": thing.provisioning.value,
    }


@lru_cache(_TIMES)
def _time(at: float | None) -> str | None:
    """UTC to the second, without a zone."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
