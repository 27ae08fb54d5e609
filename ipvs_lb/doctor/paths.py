"""Rules about the way of packets: VIPs, routes, what each forwarding method needs, what listens beside services."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from ipvs_lb import hostplan
from ipvs_lb.doctor import declared
from ipvs_lb.doctor.facts import Facts, Listener
from ipvs_lb.doctor.finding import Rule, error, note, some, warning
from ipvs_lb.model.config import DeclaredServer
from ipvs_lb.model.host import InterfaceAddress, SourceNat
from ipvs_lb.model.identity import NO_PORT, AddressKey, IPAddress
from ipvs_lb.model.settings import Forwarding, TunnelType

Found = Iterator[tuple[str, str]]
_MASQ, _DR, _TUNNEL = Forwarding.MASQ, Forwarding.DR, Forwarding.TUNNEL
_ANY = (_MASQ, _DR, _TUNNEL)
_CLIENT_MTU = 1500
_OVERHEAD = {
    TunnelType.IPIP: 0,
    TunnelType.GRE: 4,
    TunnelType.GUE: 12,
}  # behind the outer IP header
_OUTER = {4: 20, 6: 40}


def _no_interface(facts: Facts) -> Found:
    for vip in hostplan.homeless(declared.vips(facts).values(), facts.host):
        there = some(sorted(facts.host.interfaces))
        yield (
            f"VIP {vip.address} is to be on {vip.interface}; there are {there}",
            f"ip link add {vip.interface} type dummy",
        )


def _link_down(facts: Facts) -> Found:
    for vip in declared.placed(facts):
        if vip.place.interface in facts.down:
            yield (
                f"{vip.place.interface} of VIP {vip.place.address} is down or without carrier",
                f"ip link set {vip.place.interface} up",
            )


def _no_route(facts: Facts) -> Found:
    for address, names in declared.servers(facts, *_ANY).items():
        if address in facts.routes and facts.routes[address] is None:
            yield f"no route leads to server {address} of {some(names)}", f"ip route get {address}"


def _dr_routed(facts: Facts) -> Found:
    for address, names in declared.servers(facts, _DR).items():
        route = facts.routes.get(address)
        if route is not None and route.router is not None:
            yield (
                f"dr server {address} of {some(names)} is behind router {route.router}",
                f"in {facts.config_path}: forwarding: tunnel, or masq, for {address}",
            )


def _masq_routed(facts: Facts) -> Found:
    for address, names in declared.servers(facts, _MASQ).items():
        route = facts.routes.get(address)
        if route is not None and route.router is not None:
            yield (
                f"masq server {address} of {some(names)} is behind router {route.router}",
                f"on {route.router}: route the clients' networks through this gateway",
            )


def _clients_beside(facts: Facts) -> Found:
    """Clients of the servers' subnet are answered directly, from an address they did not ask."""
    for one in declared.services(facts):
        if one.source_nat is not SourceNat.OFF:
            continue
        near = {
            str(subnet)
            for server in one.servers
            if server.forwarding is _MASQ and not server.disabled
            for subnet in map(_subnet, facts.host.addresses)
            if server.address in subnet and any(vip.address in subnet for vip in one.vips)
        }
        if near:
            yield (
                f"{one.name} has its VIP in the subnet of its masq servers, {some(sorted(near))}",
                f"in {facts.config_path}: source_nat: auto for {one.name}",
            )


def _subnet(own: InterfaceAddress) -> IPv4Network | IPv6Network:
    return ip_network((own.address, own.prefix_length), strict=False)


def _local(facts: Facts) -> Found:
    own = {one.address for one in facts.host.addresses}
    for address, names in declared.servers(facts, *_ANY).items():
        route = facts.routes.get(address)
        if address in own or (route is not None and route.is_local):
            yield (
                f"server {address} of {some(names)} is this gateway itself",
                f"in {facts.config_path}: a server on another machine in place of {address}",
            )


def _own_requests(facts: Facts) -> Found:
    names = {one.name: None for one, _ in declared.members(facts, _DR, _TUNNEL)}
    if names:
        yield (
            f"{some([*names])} uses dr or tunnel",
            "curl from another machine, not from the gateway",
        )


def _tunnel_mtu(facts: Facts) -> Found:
    for _, server in declared.members(facts, _TUNNEL):
        route = facts.routes.get(server.address)
        needed = _CLIENT_MTU + _overhead(server)
        if route is not None and not route.is_local and route.mtu < needed:
            yield (
                f"packets to tunnel server {server.address} may have {route.mtu} bytes, with the tunnel {needed} are needed",
                f"ip link set dev {route.interface} mtu {needed}",
            )


def _overhead(server: DeclaredServer) -> int:
    more = _OVERHEAD[server.tunnel.type] if server.tunnel is not None else 0
    return _OUTER[server.address.version] + more


def _duplicates(facts: Facts) -> Found:
    for place, mac in _claims(facts).items():
        if not _is_dr(facts, mac):
            yield (
                f"{mac} has VIP {place.address} on {place.interface} too",
                f"ip neigh show | grep {mac}",
            )


def _dr_answers(facts: Facts) -> Found:
    for place, mac in _claims(facts).items():
        for server in _is_dr(facts, mac):
            yield (
                f"dr server {server} ({mac}) answers for VIP {place.address} on {place.interface}",
                "on the server: sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
            )


def _claims(facts: Facts) -> dict[InterfaceAddress, str]:
    known = declared.vips(facts)
    return {place: mac for place, mac in facts.answers.items() if place.address in known}


def _is_dr(facts: Facts, mac: str) -> list[IPAddress]:
    """The dr and tunnel servers that have this hardware address."""
    direct = declared.servers(facts, _DR, _TUNNEL)
    return [
        place.address
        for place, theirs in facts.answers.items()
        if theirs == mac and place.address in direct
    ]


def _exposed(facts: Facts) -> Found:
    keys = {key for one in declared.services(facts) for key in one.keys}
    for address, vip in declared.vips(facts).items():
        if vip.guard:
            continue
        open_ports = [
            f"{one.protocol}/{one.port}"
            for one in facts.listeners
            if _hears(one, address)
            and not {AddressKey(one.protocol, address, port) for port in (one.port, NO_PORT)} & keys
        ]
        if open_ports:
            yield (
                f"VIP {address} answers on {some(sorted(set(open_ports)))}, which no service declares",
                f"in {facts.config_path}: guard_vips: yes",
            )


def _hears(listener: Listener, vip: IPAddress) -> bool:
    if listener.address is None or listener.address == vip:
        return True
    return listener.address.is_unspecified and listener.address.version == vip.version


def _not_in_force(facts: Facts) -> Found:
    missing = [
        key
        for one in declared.services(facts)
        for key in one.keys
        if key not in facts.table.services
    ]
    if missing and facts.ipvs_error is None:
        command = (
            "ipvs-lb reload" if facts.daemon.running else f"ipvs-lb apply -c {facts.config_path}"
        )
        yield f"declared and not in the kernel: {some(list(map(str, missing)))}", command


def _empty(facts: Facts) -> Found:
    ours = {key for one in declared.services(facts) for key in one.keys} | facts.owned.services
    for key, virtual in facts.table.services.items():
        if key in ours and not any(server.weight for server in virtual.servers.values()):
            yield f"{key} has no server with a weight above 0", "ipvs-lb status"


RULES = (
    Rule(error("vip.no_interface", "The VIP is nowhere: clients cannot connect."), _no_interface),
    Rule(error("vip.link_down", "The VIP is not reachable on that link."), _link_down),
    Rule(
        error("vip.duplicate", "Clients reach the gateway or the other host by chance."),
        _duplicates,
    ),
    Rule(
        error(
            "dr.answers_arp",
            "Clients that hear the server first bypass the gateway: no balancing, no failover.",
            "docs/how-to/direct-routing.md#on-every-server",
        ),
        _dr_answers,
    ),
    Rule(
        error(
            "dr.routed",
            "Packets never arrive: dr changes the hardware address alone, so servers must be on the gateway's link.",
            "docs/how-to/direct-routing.md#on-the-gateway",
        ),
        _dr_routed,
    ),
    Rule(error("server.unreachable", "Connections that are given to the server fail."), _no_route),
    Rule(error("service.no_server", "Connections to the service are refused or time out."), _empty),
    Rule(error("service.not_in_kernel", "Clients of the service are not served."), _not_in_force),
    Rule(
        note(
            "masq.clients_beside_servers",
            "Clients in that subnet get answers past the gateway, which they drop: they hang.",
            "docs/how-to/gateway.md#try-it",
        ),
        _clients_beside,
    ),
    Rule(
        warning(
            "tunnel.mtu",
            "Large packets are fragmented or lost: small requests work, large ones hang.",
        ),
        _tunnel_mtu,
    ),
    Rule(
        warning(
            "vip.exposed", "Everybody who reaches the VIP reaches these programs of the gateway."
        ),
        _exposed,
    ),
    Rule(
        warning(
            "server.local",
            "Requests go to what listens on the gateway; its ports are not translated, and it goes when the gateway goes.",
        ),
        _local,
    ),
    Rule(
        note(
            "masq.routed",
            "Answers that take another way than through this gateway are dropped by clients.",
        ),
        _masq_routed,
    ),
    Rule(
        note(
            "gateway.own_requests",
            "Requests from the gateway itself to these VIPs are not answered; those of clients are.",
            "docs/how-to/direct-routing.md#what-to-expect",
        ),
        _own_requests,
    ),
)
