"""Networks, subnets, ports and floating IPs as Neutron shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from ipvs_lb.model.cloud import Network, Subnet
from ipvs_lb.octavia.floating import FloatingIp
from ipvs_lb.octavia.networks import HeldVip
from ipvs_lb.octavia.render import Shown

OWNER = "Octavia"


def network_to_json(network: Network) -> Shown:
    """A network of the configuration."""
    return {
        "id": network.id,
        "name": network.name,
        "description": "",
        "subnets": [subnet.id for subnet in network.subnets],
        "router:external": network.external,
        "shared": True,
        "is_default": False,
        "status": "ACTIVE",
        "admin_state_up": True,
        "port_security_enabled": False,
        "mtu": 1500,
        "project_id": "",
        "tenant_id": "",
        "availability_zones": [],
        "availability_zone_hints": [],
        "tags": [],
    }


def subnet_to_json(subnet: Subnet) -> Shown:
    """A subnet of the configuration."""
    return {
        "id": subnet.id,
        "name": subnet.name,
        "description": "",
        "network_id": subnet.network_id,
        "cidr": str(subnet.cidr),
        "ip_version": subnet.cidr.version,
        "gateway_ip": None if subnet.gateway is None else str(subnet.gateway),
        "allocation_pools": [
            {"start": str(pool.first), "end": str(pool.last)} for pool in subnet.pools
        ],
        "enable_dhcp": False,
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
        "segment_id": None,
        "dns_nameservers": [],
        "host_routes": [],
        "service_types": [],
        "project_id": "",
        "tenant_id": "",
        "tags": [],
    }


def port_to_json(held: HeldVip) -> Shown:
    """The port of a VIP."""
    load_balancer, vip = held.load_balancer, held.vip
    return {
        "id": vip.port_id,
        "name": f"octavia-lb-{load_balancer.id}",
        "description": "",
        "network_id": vip.network_id,
        "fixed_ips": [{"subnet_id": vip.subnet_id, "ip_address": str(vip.address)}],
        "mac_address": None,
        "device_owner": OWNER,
        "device_id": f"lb-{load_balancer.id}",
        "status": "ACTIVE",
        "admin_state_up": True,
        "port_security_enabled": False,
        "security_groups": [],
        "allowed_address_pairs": [],
        "binding:vnic_type": "normal",
        "project_id": load_balancer.project_id,
        "tenant_id": load_balancer.project_id,
        "created_at": _time(load_balancer.created_at),
        "updated_at": _time(load_balancer.updated_at or load_balancer.created_at),
        "tags": [],
    }


def floating_to_json(one: FloatingIp, held: HeldVip | None) -> Shown:
    """A floating IP, and where it leads."""
    return {
        "id": one.id,
        "description": one.description,
        "floating_network_id": one.network_id,
        "floating_ip_address": str(one.address),
        "fixed_ip_address": None if held is None else str(held.vip.address),
        "port_id": None if held is None else one.port_id,
        "router_id": None,
        "status": "DOWN" if held is None else "ACTIVE",
        "port_details": None,
        "port_forwardings": [],
        "qos_policy_id": None,
        "dns_domain": "",
        "dns_name": "",
        "revision_number": 0,
        "project_id": one.project_id,
        "tenant_id": one.project_id,
        "created_at": _time(one.created_at),
        "updated_at": _time(one.updated_at),
        "tags": [*one.tags],
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
