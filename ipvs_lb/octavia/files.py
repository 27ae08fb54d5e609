"""What the configuration's files declare, as Octavia's objects: for looking, never for changing.

Rules kept here:
1. Each VIP is a load balancer, each virtual service on it a listener with a pool of its own. Identifiers are made of the
   kernel's identities, so that they stay through restarts and reloads.
2. What Octavia has no word for gets the nearest one, and the true one in a description or a name.
3. A service told by a firewall mark has no address and port, and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ipvs_lb.model.checks import (
    DnsCheck,
    HealthCheck,
    HttpCheck,
    Method,
    PingCheck,
    SctpCheck,
    TlsCheck,
    UdpCheck,
    method_name,
)
from ipvs_lb.model.cloud import OctaviaSettings, identifier_of
from ipvs_lb.model.config import DeclaredServer, DeclaredService
from ipvs_lb.model.identity import AddressKey, IPAddress, IPProtocol
from ipvs_lb.model.settings import SCHEDULER_FLAGS, Service
from ipvs_lb.octavia.catalogue import Name, name_of
from ipvs_lb.octavia.networks import Networks
from ipvs_lb.octavia.objects import (
    Algorithm,
    AnyObject,
    HealthMonitor,
    Listener,
    LoadBalancer,
    Member,
    Pool,
    Provisioning,
    SessionPersistence,
    VipAddress,
)
from ipvs_lb.policy.members import server_key

T = TypeVar("T", bound=AnyObject)

TAG = "file"
"""What all of them are tagged with, so that a list can be had without them."""
_NEAREST = {
    **dict.fromkeys(("lc", "wlc", "sed", "nq", "lblc", "lblcr"), Algorithm.LEAST_CONNECTIONS),
    **dict.fromkeys(("sh", "mh", "dh"), Algorithm.SOURCE_IP),
}
Branch = tuple[AnyObject, ...]
"""A listener with all that is under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The objects of all files, by name, and the branches of each service they were made of."""

    objects: Mapping[Name, AnyObject]
    branches: Mapping[str, tuple[DeclaredService, tuple[Branch, ...]]]


NOTHING = Shown(objects={}, branches={})


def shown(
    services: Sequence[DeclaredService],
    settings: OctaviaSettings,
    now: float,
    before: Shown = NOTHING,
) -> Shown:
    """The objects of *services*; what is as it was *before*, under the same *settings*, is the identical object."""
    branches = {
        declared.name: (declared, _known_or_made(declared, settings, now, before))
        for declared in services
    }
    roots = _load_balancers(services, settings, now)
    under = (thing for _, several in branches.values() for branch in several for thing in branch)
    return Shown(
        objects={name_of(one): _kept(one, before) for one in (*roots, *under)}, branches=branches
    )


def _known_or_made(
    declared: DeclaredService, settings: OctaviaSettings, now: float, before: Shown
) -> tuple[Branch, ...]:
    known = before.branches.get(declared.name)
    if known is not None and _file(known[0]) == _file(declared) and known[0] == declared:
        return known[1]
    return tuple(
        tuple(
            _kept(_in_force(one, now), before)
            for one in _branch(declared, key, settings.project_id, now)
        )
        for key in declared.keys
        if isinstance(key, AddressKey)
    )


def _kept(thing: AnyObject, before: Shown) -> AnyObject:
    """*thing* since it was first there, and as it was unless it has changed."""
    known = before.objects.get(name_of(thing))
    if known is None or known is thing:
        return thing
    as_known = replace(thing, created_at=known.created_at, updated_at=known.updated_at)
    if as_known == known:
        return known
    return replace(as_known, updated_at=thing.updated_at)


def _file(declared: DeclaredService) -> str:
    """Where it is declared, without the line, which every edit above it changes."""
    return declared.origin.rpartition(":")[0] or declared.origin


def _load_balancers(
    services: Iterable[DeclaredService], settings: OctaviaSettings, now: float
) -> Iterator[LoadBalancer]:
    files: dict[IPAddress, dict[str, None]] = {}
    for declared in services:
        for key in declared.keys:
            if isinstance(key, AddressKey):
                files.setdefault(key.address, {})[_file(declared)] = None
    networks = Networks(settings.networks)
    for address, named in files.items():
        root = LoadBalancer(
            id=_root(address),
            name=str(address),
            description=f"Declared in {', '.join(named)}",
            vip=_vip(address, networks),
            project_id=settings.project_id,
            created_at=now,
        )
        yield _in_force(root, now)


def _vip(address: IPAddress, networks: Networks) -> VipAddress:
    subnet = networks.subnet_of(address)
    if subnet is None:
        return VipAddress(address=address, port_id=None, subnet_id=None, network_id=None)
    return VipAddress(
        address=address,
        port_id=identifier_of(TAG, "port", str(address)),
        subnet_id=subnet.id,
        network_id=subnet.network_id,
    )


def _root(address: IPAddress) -> str:
    return identifier_of(TAG, "loadbalancer", str(address))


def _branch(
    declared: DeclaredService, key: AddressKey, project: str, now: float
) -> Iterator[AnyObject]:
    """A listener with its pool and what is in that."""
    pool = Pool(
        id=identifier_of(TAG, "pool", str(key)),
        name=_name(declared, key),
        description=_words(declared),
        load_balancer_id=_root(key.address),
        protocol=key.protocol.name,
        lb_algorithm=_algorithm(declared.service),
        session_persistence=_persistence(declared.service),
        project_id=project,
        created_at=now,
    )
    yield Listener(
        id=identifier_of(TAG, "listener", str(key)),
        name=pool.name,
        description=f"Service {declared.name} of {_file(declared)}",
        load_balancer_id=pool.load_balancer_id,
        protocol=pool.protocol,
        protocol_port=key.port,
        connection_limit=_limit(declared),
        default_pool_id=pool.id,
        allowed_cidrs=declared.allow or None,
        project_id=project,
        created_at=now,
    )
    yield pool
    for server in declared.servers:
        yield _member(key, server, pool)
    checks = dict.fromkeys(check for server in declared.servers for check in server.checks)
    if checks:
        name = " ".join(dict.fromkeys(method_name(check.method) for check in checks))
        first = _monitor(next(iter(checks)), pool)
        yield replace(first, id=identifier_of(TAG, "healthmonitor", str(key)), name=name)


def _in_force(thing: T, now: float) -> T:
    return replace(thing, tags=(TAG,), updated_at=now, provisioning=Provisioning.ACTIVE)


def _member(key: AddressKey, server: DeclaredServer, pool: Pool) -> Member:
    at = server_key(key, server)
    return Member(
        id=identifier_of(TAG, "member", str(key), str(at)),
        name=server.name,
        admin_state_up=not server.disabled,
        pool_id=pool.id,
        address=at.address,
        protocol_port=at.port,
        weight=server.weight,
        backup=server.tier > 0,
        project_id=pool.project_id,
        created_at=pool.created_at,
    )


def _name(declared: DeclaredService, key: AddressKey) -> str:
    """`web:80`; `dns:53/udp`."""
    suffix = "" if key.protocol is IPProtocol.TCP else f"/{key.protocol}"
    return f"{declared.name}:{key.port}{suffix}"


def _words(declared: DeclaredService) -> str:
    """How packets are spread and sent, in the kernel's words."""
    service = declared.service
    named = SCHEDULER_FLAGS.get(service.scheduler, {})
    flags = [name for name, flag in named.items() if flag in service.flags]
    ways = sorted({str(server.forwarding) for server in declared.servers})
    spread = " ".join(("scheduler", service.scheduler, *flags))
    return ", ".join((spread, *(f"forwarding {way}" for way in ways)))


def _algorithm(service: Service) -> Algorithm:
    nearest = _NEAREST.get(service.scheduler, Algorithm.ROUND_ROBIN)
    by_port = SCHEDULER_FLAGS.get(service.scheduler, {}).get(f"{service.scheduler}-port")
    if by_port is not None and by_port in service.flags:
        return Algorithm.SOURCE_IP_PORT
    return nearest


def _persistence(service: Service) -> SessionPersistence | None:
    given = service.persistence
    if given is None:
        return None
    return SessionPersistence(timeout=given.timeout, granularity=str(given.granularity))


def _limit(declared: DeclaredService) -> int:
    """The upper threshold that all servers share, if they do."""
    limits = {server.upper_threshold for server in declared.servers}
    return limits.pop() or -1 if len(limits) == 1 else -1


def _monitor(check: HealthCheck, pool: Pool) -> HealthMonitor:
    """The monitor that is nearest to *check*; seconds are whole there, and longer rather than shorter."""
    method = check.method
    plain = HealthMonitor(
        id="",
        project_id=pool.project_id,
        created_at=pool.created_at,
        pool_id=pool.id,
        type=_type(method),
        delay=math.ceil(check.interval),
        timeout=math.ceil(check.timeout),
        max_retries=check.rise,
        max_retries_down=check.fall,
    )
    if not isinstance(method, HttpCheck):
        return plain
    return replace(
        plain,
        http_method=method.method,
        url_path=method.path,
        expected_codes=",".join(
            str(first) if first == last else f"{first}-{last}"
            for first, last in method.expect_codes
        ),
        http_version=float(method.http_version),
        domain_name=method.host,
    )


def _type(method: Method) -> str:
    match method:
        case HttpCheck():
            return "HTTP" if method.tls is None else "HTTPS"
        case TlsCheck():
            return "TLS-HELLO"
        case UdpCheck() | DnsCheck():
            return "UDP-CONNECT"
        case PingCheck():
            return "PING"
        case SctpCheck():
            return "SCTP"
        case _:
            return "TCP"
