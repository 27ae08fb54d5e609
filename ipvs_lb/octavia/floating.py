"""Floating IPs: addresses of an external network that lead to the VIP of a port, while they name one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

from ipvs_lb.model.cloud import Network
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.octavia.catalogue import Catalogue, Tree
from ipvs_lb.octavia.changes import Author
from ipvs_lb.octavia.faults import Fault, from_file
from ipvs_lb.octavia.fields import address, tags, text, uuid
from ipvs_lb.octavia.networks import HeldVip, Networks, addresses, ports
from ipvs_lb.octavia.objects import Kind

_NEW = {
    "floating_network_id",
    "floating_ip_address",
    "port_id",
    "fixed_ip_address",
    "subnet_id",
    "description",
    "tags",
    "project_id",
    "tenant_id",
}
_CHANGED = {"port_id", "fixed_ip_address", "description"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIp:
    """One of them. Times are Unix seconds."""

    id: str
    address: IPAddress
    network_id: str
    project_id: str
    created_at: float
    updated_at: float
    port_id: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


def used(catalogue: Catalogue, floating: Iterable[FloatingIp]) -> set[IPAddress]:
    """Every address that is given out."""
    taken = {one.address for one in floating}
    for load_balancer in catalogue.load_balancers.values():
        taken.update(vip.address for vip in load_balancer.vips)
    return taken


def answering(tree: Tree, floating: Iterable[FloatingIp], networks: Networks) -> tuple[Vip, ...]:
    """The addresses on which a load balancer answers: its own, and the floating ones of its ports."""
    own = tree.load_balancer.vips
    held = {vip.port_id for vip in own if vip.port_id is not None}
    addresses = [vip.address for vip in own]
    addresses += [one.address for one in floating if one.port_id in held]
    return tuple(networks.vip(one) for one in dict.fromkeys(addresses))


def create_floating(
    body: Mapping[str, object],
    author: Author,
    catalogue: Catalogue,
    networks: Networks,
    present: Iterable[FloatingIp],
    *,
    occupied: Set[IPAddress] = frozenset(),
) -> FloatingIp:
    """The floating IP that *body* asks for, beside those *present* and *occupied* addresses. Raises Fault."""
    _refuse_unknown(body, _NEW)
    present = tuple(present)
    network = _network(body.get("floating_network_id"), networks)
    subnet, wanted = body.get("subnet_id"), body.get("floating_ip_address")
    if subnet is not None:
        network = _narrowed(network, uuid("subnet_id", subnet))
    where = free_floating(
        network,
        used(catalogue, present) | occupied,
        None if wanted is None else address("floating_ip_address", wanted),
    )
    new = FloatingIp(
        id=author.new_id(),
        address=where,
        network_id=network.id,
        project_id=author.project_id,
        created_at=author.now,
        updated_at=author.now,
        description=_description(body),
        tags=tags("tags", body.get("tags") or []),
    )
    return _led(new, body, catalogue, present)


def update_floating(
    before: FloatingIp,
    body: Mapping[str, object],
    now: float,
    catalogue: Catalogue,
    present: Iterable[FloatingIp],
) -> FloatingIp:
    """*before* as *body* changes it: to a port, or with null to none. Raises Fault."""
    _refuse_unknown(body, _CHANGED)
    after = replace(before, updated_at=now)
    if "description" in body:
        after = replace(after, description=_description(body))
    if "port_id" not in body:
        return after
    return _led(replace(after, port_id=None), body, catalogue, tuple(present))


def freed(one: FloatingIp, now: float) -> FloatingIp:
    """*one* leading nowhere."""
    return replace(one, port_id=None, updated_at=now)


def _led(
    one: FloatingIp,
    body: Mapping[str, object],
    catalogue: Catalogue,
    present: tuple[FloatingIp, ...],
) -> FloatingIp:
    if body.get("port_id") is None:
        return one
    port = uuid("port_id", body["port_id"])
    held = ports(catalogue).get(port)
    if held is None:
        raise Fault(404, f"Port {port} could not be found.", kind="PortNotFound")
    if catalogue.is_from_file(held.load_balancer):
        raise Fault(
            403, str(from_file(Kind.LOAD_BALANCER, held.load_balancer.id)), kind="Forbidden"
        )
    fixed = body.get("fixed_ip_address")
    if fixed is not None and address("fixed_ip_address", fixed) != held.vip.address:
        raise Fault(400, f"Port {port} does not have fixed ip {fixed}.", kind="BadRequest")
    _check_free(one, held, present)
    return replace(one, port_id=port)


def _check_free(one: FloatingIp, held: HeldVip, present: tuple[FloatingIp, ...]) -> None:
    port, fixed = held.vip.port_id, held.vip.address
    if one.address.version != fixed.version:
        raise Fault(
            400,
            f"Port {port} has no address of the IP version of {one.address}.",
            kind="BadRequest",
        )
    for other in present:
        if other.id != one.id and other.port_id == port and other.network_id == one.network_id:
            raise Fault(
                409,
                f"Cannot associate floating IP {one.address} ({one.id}) with port {port} using fixed IP {fixed},"
                f" as that fixed IP already has a floating IP on external network {one.network_id}.",
                kind="FloatingIPPortAlreadyAssociated",
            )


def _network(given: object, networks: Networks) -> Network:
    if given is None:
        raise Fault(
            400,
            "Failed to parse request. Required attribute 'floating_network_id' not specified",
            kind="HTTPBadRequest",
        )
    wanted = uuid("floating_network_id", given)
    network = networks.networks.get(wanted)
    if network is None:
        raise Fault(404, f"Network {wanted} could not be found.", kind="NetworkNotFound")
    if not network.external:
        raise Fault(
            400,
            f"Bad floatingip request: Network {wanted} is not a valid external network.",
            kind="BadRequest",
        )
    return network


def _narrowed(network: Network, subnet: str) -> Network:
    chosen = tuple(one for one in network.subnets if one.id == subnet)
    if not chosen:
        raise Fault(404, f"Subnet {subnet} could not be found.", kind="SubnetNotFound")
    return replace(network, subnets=chosen)


def free_floating(network: Network, taken: set[IPAddress], wanted: IPAddress | None) -> IPAddress:
    """An address of the external *network* for a floating IP. Raises Fault."""
    if wanted is not None:
        if not any(wanted in subnet.cidr for subnet in network.subnets):
            raise Fault(
                400,
                f"Invalid input for operation: IP address {wanted} is not in the network.",
                kind="InvalidInput",
            )
        if wanted in taken:
            raise Fault(
                409, f"IP address {wanted} already allocated.", kind="IpAddressAlreadyAllocated"
            )
        return wanted
    for subnet in network.subnets:
        for one in addresses(subnet):
            if one not in taken:
                return one
    raise Fault(
        409,
        f"No more IP addresses available on network {network.id}.",
        kind="IpAddressGenerationFailure",
    )


def _description(body: Mapping[str, object]) -> str:
    given = body.get("description")
    return "" if given is None else text("description", given)


def _refuse_unknown(body: Mapping[str, object], known: set[str]) -> None:
    unknown = sorted(body.keys() - known)
    if unknown:
        names = ", ".join(f"'{name}'" for name in unknown)
        raise Fault(400, f"Unrecognized attribute(s) {names}", kind="HTTPBadRequest")
