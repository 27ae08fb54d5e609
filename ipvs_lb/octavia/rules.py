"""What must hold between the fields of objects; each function raises a Fault when it does not.

The texts are those of octavia/api/v2/controllers and octavia/common/validate.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network

from ipvs_lb.octavia.catalogue import Catalogue
from ipvs_lb.octavia.faults import (
    conflict,
    invalid,
    not_found,
    option,
    unsupported,
    validation,
)
from ipvs_lb.octavia.fields import Values
from ipvs_lb.octavia.objects import (
    HealthMonitor,
    Kind,
    Listener,
    LoadBalancer,
    Member,
    Pool,
    SessionPersistence,
)

_LAYER_7_LISTENERS = {"HTTP", "TERMINATED_HTTPS", "PROMETHEUS"}
_PROXIED_POOLS = {"PROXY", "PROXYV2"}
POOLS_UNDER: Mapping[str, frozenset[str]] = {
    "TCP": frozenset({"TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2"}),
    "HTTPS": frozenset({"TCP", "HTTPS", "PROXY", "PROXYV2"}),
    "HTTP": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "TERMINATED_HTTPS": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "UDP": frozenset({"UDP"}),
    "SCTP": frozenset({"SCTP"}),
    "PROMETHEUS": frozenset(),
}
TRANSPORTS: Mapping[str, str] = {
    "TCP": "TCP",
    "HTTP": "TCP",
    "HTTPS": "TCP",
    "UDP": "UDP",
    "SCTP": "SCTP",
}
"""The transport under each protocol of a listener or pool that layer 4 can carry."""

_DATAGRAMS = {"UDP", "SCTP"}
_DATAGRAM_MONITORS = ("UDP-CONNECT", "SCTP", "TCP", "HTTP")
_HTTP_MONITORS = {"HTTP", "HTTPS"}
_HTTP_FIELDS = ("http_method", "url_path", "expected_codes")
_NAMED_HOSTS = 1.1  # HTTP versions from here on have a Host header
_LEAST_UDP_DELAY = 3


def check_listener(catalogue: Catalogue, listener: Listener, load_balancer: LoadBalancer) -> None:
    """*listener* can be on *load_balancer*, beside its others."""
    if listener.protocol in _LAYER_7_LISTENERS:
        raise unsupported(f"{listener.protocol} listeners need layer 7, this is layer 4")
    for other in catalogue.listeners_of(load_balancer.id):
        if other.id != listener.id and _collide(other, listener):
            raise conflict(
                "Another Listener on this Load Balancer is already using protocol"
                f" {other.protocol} and protocol_port {listener.protocol_port}"
            )
    if listener.default_pool_id is not None:
        pool = catalogue.pools.get(listener.default_pool_id)
        if pool is None or pool.load_balancer_id != load_balancer.id:
            raise not_found(Kind.POOL, listener.default_pool_id)
        check_pool_under(pool.protocol, listener)
    for cidr in listener.allowed_cidrs or ():
        _check_family(cidr, load_balancer)


def _collide(one: Listener, other: Listener) -> bool:
    return one.protocol_port == other.protocol_port and (
        TRANSPORTS[one.protocol] == TRANSPORTS[other.protocol]
    )


def _check_family(cidr: str, load_balancer: LoadBalancer) -> None:
    vips = [vip.address for vip in load_balancer.vips]
    if ip_network(cidr).version not in {vip.version for vip in vips}:
        raise validation(
            f"CIDR {cidr} IP version incompatible with all VIPs {[*map(str, vips)]} IP version."
        )


def check_pool_under(protocol: str, listener: Listener) -> None:
    """A pool of *protocol* can serve *listener*."""
    if protocol not in POOLS_UNDER[listener.protocol]:
        raise validation(
            f"The pool protocol '{protocol}' is invalid while the listener protocol is '{listener.protocol}'."
        )


def check_pool(pool: Pool) -> None:
    """*pool* is one that layer 4 can have."""
    if pool.protocol in _PROXIED_POOLS:
        raise unsupported(f"{pool.protocol} pools need layer 7, this is layer 4")
    if pool.session_persistence is not None:
        _check_persistence(pool.protocol, pool.session_persistence)


def _check_persistence(protocol: str, wanted: SessionPersistence) -> None:
    if not wanted.type:
        raise invalid("type", None, "Mandatory field missing.")
    if protocol in _DATAGRAMS:
        _check_datagram_persistence(wanted)
    if wanted.cookie_name and wanted.type != "APP_COOKIE":
        raise validation(
            'Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".'
        )
    if wanted.type == "APP_COOKIE" and not wanted.cookie_name:
        raise validation(
            'Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.'
        )
    if wanted.type != "SOURCE_IP":
        raise unsupported(f"session persistence of type {wanted.type} needs layer 7")


def _check_datagram_persistence(wanted: SessionPersistence) -> None:
    if wanted.type == "SOURCE_IP" and wanted.cookie_name:
        raise validation(
            "session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type,"
            " persistence_timeout, persistence_granularity."
        )
    if wanted.cookie_name:
        raise validation("Cookie names are not supported for UDP/SCTP pools.")
    if wanted.type != "SOURCE_IP":
        raise validation(
            f"Session persistence of type {wanted.type} is not supported for UDP/SCTP protocol pools."
        )


def check_member(member: Member, load_balancer: LoadBalancer) -> None:
    """*member* can be reached from the addresses of *load_balancer*."""
    if member.address.version not in {vip.address.version for vip in load_balancer.vips}:
        raise unsupported("a member of another IP version than the VIP")


def check_monitor(monitor: HealthMonitor, given: Values, pool: Pool) -> None:
    """*monitor*, of which a request has *given* values, can test the members of *pool*."""
    _check_monitor_type(monitor, pool)
    if monitor.type not in _HTTP_MONITORS:
        for name in _HTTP_FIELDS:
            if name in given:
                raise option(name, f"health monitors of type {monitor.type}")
    if monitor.domain_name is None:
        return
    if monitor.http_version is None:
        raise validation("'http_version' must be specified when 'domain_name' is provided.")
    if monitor.http_version < _NAMED_HOSTS:
        raise option(
            f"http_version {monitor.http_version}",
            "health monitors HTTP 1.1 domain name health check",
        )


def _check_monitor_type(monitor: HealthMonitor, pool: Pool) -> None:
    if pool.protocol not in _DATAGRAMS:
        if monitor.type in {"UDP-CONNECT", "SCTP"}:
            raise validation(
                f"The {monitor.type} type is only supported for pools of type UDP/SCTP."
            )
        return
    if monitor.type not in _DATAGRAM_MONITORS:
        raise validation(
            f"The associated pool protocol is {pool.protocol}, so only a"
            f" {'/'.join(_DATAGRAM_MONITORS)} health monitor is supported."
        )
    if monitor.type == "UDP-CONNECT" and monitor.delay < _LEAST_UDP_DELAY:
        raise validation(
            f"The request delay value {monitor.delay} should be larger than"
            f" {_LEAST_UDP_DELAY} for UDP-CONNECT health monitor type."
        )


def settled_monitor(monitor: HealthMonitor) -> HealthMonitor:
    """*monitor* with what an HTTP one has by default."""
    if monitor.type not in _HTTP_MONITORS:
        return monitor
    return replace(
        monitor,
        http_method=monitor.http_method or "GET",
        url_path=monitor.url_path or "/",
        expected_codes=monitor.expected_codes or "200",
    )
