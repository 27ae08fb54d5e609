"""The network of `ipvs_lb.scenario.layout`, built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipvs_lb.lab.hosts import Host, Switch
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.packages import find_program
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.scenario.layout import Layout, Machine, Subnet

LAN = "eth0"
"""The interface of gateway and servers to the inner network."""

_FROM_VIPS = 100  # the routing table for what dr and tunnel servers send from VIPs


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The hosts, the servers by their addresses."""

    client: Host
    gateway: Host
    servers: Mapping[IPAddress, Host]


def build(network: Network, plan: Layout) -> Lab:
    """Cable, address and route every host of *plan*. Raises LabError."""
    client, router = network.host("client"), network.router("router")
    gateway, lan = network.router("gateway"), network.switch("lan")
    _connect(network, plan, client, router)
    router.plug(lan, *(f"{one.router}/{one.network.prefixlen}" for one in plan.subnets))
    gateway.plug(lan, *(f"{one.gateway}/{one.network.prefixlen}" for one in plan.subnets))
    for subnet in _one_of_each_family(plan):
        gateway.route(_everywhere(subnet.router), str(subnet.router))
    for name in plan.interfaces:
        gateway.plug(lan, name=name)
    for address in plan.own:
        gateway.address(LAN, _alone(address))
    servers = {one.address: _server(network, lan, plan, one) for one in plan.machines}
    return Lab(client=client, gateway=gateway, servers=servers)


def _connect(network: Network, plan: Layout, client: Host, router: Host) -> None:
    """The client's side, with one network for each family and the addresses that services let in."""
    first, *others = plan.outside
    network.cable(client, f"{first[2]}/{first.prefixlen}", router, f"{first[1]}/{first.prefixlen}")
    for outside in others:
        client.address("eth0", f"{outside[2]}/{outside.prefixlen}")
        router.address("eth0", f"{outside[1]}/{outside.prefixlen}")
    for outside in plan.outside:
        client.route(_everywhere(outside[1]), str(outside[1]))
        for source in plan.sources:
            if source.version == outside.version:
                client.address("eth0", _alone(source))
                router.route(_alone(source), str(outside[2]))


def _one_of_each_family(plan: Layout) -> list[Subnet]:
    return list({one.network.version: one for one in plan.subnets}.values())


def _server(network: Network, lan: Switch, plan: Layout, machine: Machine) -> Host:
    host = network.host(machine.name)
    subnet = next(one for one in plan.subnets if machine.address in one.network)
    host.plug(lan, f"{machine.address}/{subnet.network.prefixlen}")
    host.route(_everywhere(subnet.gateway), str(subnet.gateway))
    if machine.vips:
        _hold_vips(host, machine, subnet)
    return host


def _hold_vips(host: Host, machine: Machine, subnet: Subnet) -> None:
    """VIPs on lo that nobody is told of, and answers from them on a way that is not the gateway's."""
    host.sysctl("net.ipv4.conf.all.arp_ignore", 1)
    host.sysctl("net.ipv4.conf.all.arp_announce", 2)
    for number, vip in enumerate(sorted(machine.vips), _FROM_VIPS):
        host.address("lo", _alone(vip))
        host.route_from(str(vip), str(subnet.router), number)
    if machine.tunnels:
        modprobe = find_program("modprobe")
        if modprobe is not None:
            host.run([modprobe, "--quiet", "ipip"], check=False)
        host.link_up("tunl0")
        host.sysctl("net.ipv4.conf.tunl0.rp_filter", 0)


def _everywhere(neighbour: IPAddress) -> str:
    """The default route of a neighbour's family, as pyroute2 takes it."""
    return "default" if neighbour.version == 4 else "::/0"  # noqa: PLR2004 - IP version


def _alone(address: IPAddress) -> str:
    return f"{address}/{address.max_prefixlen}"
