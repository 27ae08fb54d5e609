"""The slice of a network service that load balancing needs: places for VIPs, and the ports that hold them.

Networks and subnets are the configuration's. A port exists as long as the VIP it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ipvs_lb.model.cloud import Network, Subnet
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.octavia.catalogue import Catalogue
from ipvs_lb.octavia.faults import Fault, invalid, unknown_reference, validation
from ipvs_lb.octavia.fields import Values, address, uuid
from ipvs_lb.octavia.objects import LoadBalancer, VipAddress

_ADDITIONAL: Mapping[str, Callable[[str, object], Any]] = {
    "subnet_id": uuid,
    "ip_address": address,
    "port_id": uuid,
}


@dataclass(frozen=True, slots=True)
class HeldVip:
    """A port: the load balancer and the address it holds."""

    load_balancer: LoadBalancer
    vip: VipAddress


class Networks:
    """Networks and subnets as they are configured, by identifier; *guard_vips*: what the model is told of VIPs."""

    def __init__(self, networks: Iterable[Network], *, guard_vips: bool = False) -> None:
        self._guard_vips = guard_vips
        self.networks = {network.id: network for network in networks}
        self.subnets = {
            subnet.id: subnet for network in self.networks.values() for subnet in network.subnets
        }

    def subnet_of(self, where: IPAddress) -> Subnet | None:
        """The subnet that contains *where*."""
        found = (subnet for subnet in self.subnets.values() if where in subnet.cidr)
        return next(found, None)

    def vip(self, where: IPAddress) -> Vip:
        """*where* as the model declares it."""
        subnet = self.subnet_of(where)
        interface = None if subnet is None else subnet.interface
        return Vip(address=where, interface=interface, guard=self._guard_vips)


def ports(catalogue: Catalogue) -> Mapping[str, HeldVip]:
    """Every port, by identifier."""
    return {
        vip.port_id: HeldVip(load_balancer, vip)
        for load_balancer in catalogue.load_balancers.values()
        for vip in load_balancer.vips
        if vip.port_id is not None
    }


def place_vips(
    values: Values, networks: Networks, taken: set[IPAddress], new_id: Callable[[], str]
) -> tuple[VipAddress, ...]:
    """The addresses that a new load balancer gets, the main one first. Raises Fault."""
    given = values["vip_address"]
    main = _placed(
        networks,
        taken,
        new_id,
        subnet_id=_text(values["vip_subnet_id"]),
        network_id=_text(values["vip_network_id"]),
        port_id=_text(values["vip_port_id"]),
        wanted=given if given is None else address("vip_address", str(given)),
    )
    placed, occupied = [main], {*taken, main.address}
    for body in _list(values["additional_vips"]):
        more = _additional(body, networks, occupied, new_id)
        if any(more.subnet_id == one.subnet_id for one in placed):
            raise validation(
                "Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."
            )
        if more.network_id != main.network_id:
            raise validation("All VIP subnets must belong to the same network.")
        placed.append(more)
        occupied.add(more.address)
    return tuple(placed)


def _additional(
    body: object, networks: Networks, taken: set[IPAddress], new_id: Callable[[], str]
) -> VipAddress:
    if not isinstance(body, Mapping):
        raise invalid("additional_vips", body, "Value should be an object")
    for unknown in body.keys() - _ADDITIONAL.keys():
        argument = "load_balancer.loadbalancer.additional_vips"
        raise Fault(400, f"Unknown attribute for argument {argument}: {unknown}")
    given = {
        name: None if body.get(name) is None else parse(name, body[name])
        for name, parse in _ADDITIONAL.items()
    }
    if given["subnet_id"] is None:
        raise invalid("subnet_id", None, "Mandatory field missing.")
    return _placed(
        networks,
        taken,
        new_id,
        subnet_id=given["subnet_id"],
        network_id=None,
        port_id=given["port_id"],
        wanted=given["ip_address"],
    )


def _placed(
    networks: Networks,
    taken: set[IPAddress],
    new_id: Callable[[], str],
    *,
    subnet_id: str | None,
    network_id: str | None,
    port_id: str | None,
    wanted: IPAddress | None,
) -> VipAddress:
    if port_id is not None:
        raise unknown_reference("Port", port_id)  # every port holds a VIP already
    candidates = _candidates(networks, subnet_id, network_id)
    if wanted is not None:
        candidates = [subnet for subnet in candidates if wanted in subnet.cidr]
        if not candidates:
            raise validation(
                "Supplied network does not contain a subnet for VIP address specified."
            )
        if wanted in taken:
            raise Fault(409, f"IP address {wanted} already allocated in subnet {candidates[0].id}")
        if wanted == candidates[0].gateway:
            raise Fault(409, f"IP address {wanted} is the gateway of subnet {candidates[0].id}")
        return _on(candidates[0], wanted, new_id)
    for subnet in candidates:
        free = next((one for one in addresses(subnet) if one not in taken), None)
        if free is not None:
            return _on(subnet, free, new_id)
    raise Fault(409, "No more IP addresses available in the subnets asked for.")


def _candidates(networks: Networks, subnet_id: str | None, network_id: str | None) -> list[Subnet]:
    if subnet_id is not None:
        if subnet_id not in networks.subnets:
            raise unknown_reference("Subnet", subnet_id)
        subnet = networks.subnets[subnet_id]
        if network_id is not None and subnet.network_id != network_id:
            raise unknown_reference("Subnet", subnet_id)
        return [subnet]
    if network_id is None:
        raise validation("VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
    if network_id not in networks.networks:
        raise unknown_reference("Network", network_id)
    subnets = networks.networks[network_id].subnets
    if not subnets:
        raise validation("Supplied network does not contain a subnet.")
    return sorted(subnets, key=lambda subnet: subnet.cidr.version)


def _on(subnet: Subnet, where: IPAddress, new_id: Callable[[], str]) -> VipAddress:
    return VipAddress(
        address=where, port_id=new_id(), subnet_id=subnet.id, network_id=subnet.network_id
    )


def addresses(subnet: Subnet) -> Iterator[IPAddress]:
    """Every address of the pools, in order."""
    for pool in subnet.pools:
        span = int(pool.last) - int(pool.first) + 1
        yield from (pool.first + step for step in range(span))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
