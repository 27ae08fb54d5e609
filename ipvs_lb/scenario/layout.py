"""The network that a configuration asks for: which hosts, with which addresses, listening where.

client ── router ──┬── gateway
                   ├── server
                   └── server ...

Everything but the client is in one link layer. VIPs and servers have the configuration's addresses; each network of 256
addresses (IPv4) or a /64 around one of them is a subnet, in which gateway and router have one of the last free addresses.
Masq servers answer through the gateway; what comes from a VIP, of dr and tunnel servers, goes through the router.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import islice

from ipvs_lb.errors import LabError
from ipvs_lb.lab.backends import Manner
from ipvs_lb.lab.traffic import Goal
from ipvs_lb.model.checks import HealthCheck, Method
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.host import SourceNat
from ipvs_lb.model.identity import NO_PORT, AddressKey, IPAddress, Port, ServerKey, ServiceKey
from ipvs_lb.model.settings import Forwarding, TunnelType
from ipvs_lb.policy import members
from ipvs_lb.scenario.manners import manner_of, protocol_of

IPNetwork = IPv4Network | IPv6Network
_LENGTHS = {4: 24, 6: 64}
_OUTSIDE = {
    4: ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "198.18.0.0/24"),  # RFC 5737, RFC 2544
    6: ("2001:db8:ffff::/64", "fd00:db8:ffff::/64"),
}
_ANY_PORT = Port(80)  # where services of all ports are asked


@dataclass(frozen=True, slots=True, order=True)
class Socket:
    """Where something listens."""

    protocol: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A server: its ports with what they say and the services they are of, and the VIPs it answers for itself.

    No two have one name.
    """

    name: str
    address: IPAddress
    manners: Mapping[Socket, Manner]
    services: Mapping[Socket, frozenset[str]]
    vips: frozenset[IPAddress] = frozenset()
    tunnels: bool = False


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network of the inner side, with the addresses of gateway and router in it."""

    network: IPNetwork
    gateway: IPAddress
    router: IPAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The whole network. `outside` is where client (second address) and router (first) meet."""

    machines: tuple[Machine, ...]
    subnets: tuple[Subnet, ...]
    outside: tuple[IPNetwork, ...]
    goals: Mapping[str, tuple[Goal, ...]]
    sources: frozenset[IPAddress] = frozenset()
    interfaces: tuple[str, ...] = ()
    own: frozenset[IPAddress] = frozenset()
    needs: frozenset[str] = frozenset()


def layout(configs: Sequence[Config]) -> Layout:
    """The network in which all *configs* can be played. Raises LabError when there is none."""
    services = [one for config in configs for one in config.services]
    if not any(one.servers for one in services):
        raise LabError("the configuration has no servers, so there is nothing to play")
    own = frozenset(_own(services))
    machines = tuple(_machines(services))
    used = {machine.address for machine in machines} | own
    used |= {vip.address for one in services for vip in one.vips}
    subnets = tuple(_subnets(used))
    outside = tuple(_outside(subnets))
    goals = _goals(services, outside)
    return Layout(
        machines=machines,
        subnets=subnets,
        outside=outside,
        goals=goals,
        sources=frozenset(_inside_allowed(services)),
        interfaces=tuple(sorted(set(_interfaces(configs)) - {"lo", "eth0"})),
        own=own,
        needs=frozenset({"nftables"} if any(map(_needs_nftables, services)) else ()),
    )


def _own(services: Iterable[DeclaredService]) -> Iterator[IPAddress]:
    """Addresses that somebody else gives to a gateway: VIPs that are not managed, sources of checks."""
    for one in services:
        yield from (vip.address for vip in one.vips if not vip.managed)
        for server in one.servers:
            yield from (check.source for check in server.checks if check.source is not None)


def _needs_nftables(service: DeclaredService) -> bool:
    guarded = any(vip.guard for vip in service.vips)
    return bool(service.allow) or guarded or service.source_nat is not SourceNat.OFF


def _interfaces(configs: Iterable[Config]) -> Iterator[str]:
    for config in configs:
        yield from (daemon.interface for daemon in config.sync_daemons)
        for one in config.services:
            yield from (vip.interface for vip in one.vips if vip.interface is not None)


@dataclass(slots=True)
class _Draft:
    """A machine in the making."""

    names: dict[str, None] = field(default_factory=dict)
    methods: dict[Socket, list[Method]] = field(default_factory=dict)
    services: dict[Socket, set[str]] = field(default_factory=dict)
    vips: set[IPAddress] = field(default_factory=set)
    tunnels: bool = False

    def listen(self, socket: Socket, service: str) -> list[Method]:
        """Have a port, of *service*; the checks it has to answer."""
        self.services.setdefault(socket, set()).add(service)
        return self.methods.setdefault(socket, [])


def _machines(services: Iterable[DeclaredService]) -> Iterator[Machine]:
    drafts: dict[IPAddress, _Draft] = {}
    for service in services:
        for key, own, server in members(service):
            _refuse_unbuildable(service, server)
            draft = drafts.setdefault(server.address, _Draft())
            draft.names[server.name] = None
            for socket, check in _sockets(key, own, server):
                address = server.address if check is None else check.address or server.address
                methods = drafts.setdefault(address, _Draft()).listen(socket, service.name)
                methods += [] if check is None else [check.method]
            if server.forwarding in {Forwarding.DR, Forwarding.TUNNEL}:
                draft.vips |= {vip.address for vip in service.vips}
                draft.tunnels |= server.forwarding is Forwarding.TUNNEL
    called = Counter(_called(address, draft) for address, draft in drafts.items())
    for address, draft in drafts.items():
        name = _called(address, draft)
        yield _machine(name if called[name] == 1 else f"{name}@{address}", address, draft)


def _called(address: IPAddress, draft: _Draft) -> str:
    return next(iter(draft.names), str(address))


def _machine(name: str, address: IPAddress, draft: _Draft) -> Machine:
    manners = {}
    for socket, methods in draft.methods.items():
        try:
            manners[socket] = manner_of(methods)
        except LabError as error:
            where = f"{name}, {socket.protocol} port {socket.port}"
            raise LabError(f"{where}: {error}", hint=_ANOTHER_CHECK) from error
    return Machine(
        name=name,
        address=address,
        manners=manners,
        services={socket: frozenset(names) for socket, names in draft.services.items()},
        vips=frozenset(vip for vip in draft.vips if vip.version == address.version),
        tunnels=draft.tunnels,
    )


_ANOTHER_CHECK = "play a copy of the configuration in which this service has another check, tcp say"


def _sockets(
    key: ServiceKey, own: ServerKey, server: DeclaredServer
) -> Iterator[tuple[Socket, HealthCheck | None]]:
    """Where a server is to listen: for clients, and for each check that wants an answer."""
    protocol = "tcp"
    if isinstance(key, AddressKey):
        protocol = str(key.protocol)
        yield Socket(protocol, own.port or _ANY_PORT), None
    for check in server.checks:
        answers, port = protocol_of(check.method, protocol), check.port or own.port
        if answers is not None and port != NO_PORT:
            yield Socket(answers, port), check


def _refuse_unbuildable(service: DeclaredService, server: DeclaredServer) -> None:
    what = f"{service.name}/{server.name}"
    if server.address.is_loopback or server.forwarding is Forwarding.LOCAL:
        raise LabError(f"{what}: a server that is the gateway itself is nothing for a lab")
    kind = server.tunnel.type if server.tunnel is not None else TunnelType.IPIP
    is_ipip = kind is TunnelType.IPIP and server.address.version == 4  # noqa: PLR2004 - IP version
    if server.forwarding is Forwarding.TUNNEL and not is_ipip:
        raise LabError(f"{what}: the lab's servers unwrap ipip over IPv4 only, not {kind}")


def _subnets(used: Iterable[IPAddress]) -> Iterator[Subnet]:
    taken = set(used)
    networks = dict.fromkeys(_around(address) for address in sorted(taken, key=_order))
    for network in networks:
        free = islice((one for one in _from_the_end(network) if one not in taken), 2)
        try:
            gateway, router = free
        except ValueError:
            raise LabError(f"{network} has no two addresses left for gateway and router") from None
        yield Subnet(network, gateway, router)


def _order(address: IPAddress) -> tuple[int, int]:
    return address.version, int(address)


def _around(address: IPAddress) -> IPNetwork:
    return ip_network((address, _LENGTHS[address.version]), strict=False)


def _from_the_end(network: IPNetwork) -> Iterator[IPAddress]:
    """The addresses for hosts, the last first; a bound number of them."""
    last = int(network.broadcast_address)
    first = max(int(network.network_address), last - 1000)
    return (_address(network.version, number) for number in range(last - 1, first, -1))


def _address(version: int, number: int) -> IPAddress:
    size = 4 if version == 4 else 16  # noqa: PLR2004 - IP version
    return ip_address(number.to_bytes(size, "big"))


def _outside(subnets: Iterable[Subnet]) -> Iterator[IPNetwork]:
    inside = [subnet.network for subnet in subnets]
    for version in sorted({network.version for network in inside}):
        candidates = map(ip_network, _OUTSIDE[version])
        yield next(one for one in candidates if one not in inside)


def _goals(
    services: Iterable[DeclaredService], outside: Iterable[IPNetwork]
) -> Mapping[str, tuple[Goal, ...]]:
    clients = {network.version: network[2] for network in outside}
    goals: dict[str, dict[Goal, None]] = {}
    for one in services:
        for key in one.keys:
            if isinstance(key, AddressKey):
                source = _allowed(one, key.address.version) or clients[key.address.version]
                goal = Goal(
                    protocol=str(key.protocol),
                    address=str(key.address),
                    port=key.port or _ANY_PORT,
                    source=str(source),
                )
                goals.setdefault(one.name, {})[goal] = None
    return {name: tuple(ordered) for name, ordered in goals.items()}


def _inside_allowed(services: Iterable[DeclaredService]) -> Iterator[IPAddress]:
    """The addresses that the client needs to be let in."""
    for one in services:
        for version in {key.address.version for key in one.keys if isinstance(key, AddressKey)}:
            allowed = _allowed(one, version)
            if allowed is not None:
                yield allowed


def _allowed(service: DeclaredService, version: int) -> IPAddress | None:
    """An address that *service* lets in, when it does not let in everyone; never one of a server."""
    networks = [
        network for text in service.allow if (network := ip_network(text)).version == version
    ]
    if not networks:
        return None
    taken = {server.address for server in service.servers}
    free = (one for network in networks for one in _first(network) if one not in taken)
    return next(free, _address(version, int(networks[0].network_address)))


def _first(network: IPNetwork) -> Iterator[IPAddress]:
    """The first addresses for hosts, of a small network all."""
    first, last = int(network.network_address), int(network.broadcast_address)
    return (
        _address(network.version, number) for number in range(first + 1, min(last, first + 500))
    )
