"""What the gateway needs besides the IPVS table, and the commands that bring it there.

Rules kept here:
1. An address that is on its interface already, under whatever prefix length, is not added again. It is
   taken away only if it is ours with exactly that prefix length: the gateway's own 10.0.0.2/24 used as a
   VIP (10.0.0.2/32) stays what it is. Declared with the prefix length it has, it is adopted and ours.
2. Whoever owns an address that is not `managed` adds and removes it; here it is not placed at all.
3. The firewall and sysctls follow what is declared, not which servers happen to be healthy.
4. What grows (sysctls, addresses) comes before what shrinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import assert_never

from ipvs_lb.errors import HostError
from ipvs_lb.firewall import access_rules, guarded_vips, opened_services
from ipvs_lb.model.checks import DnsCheck, UdpCheck, Via
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.desired import Desired, Owned, PlacedVip, SysctlNeed
from ipvs_lb.model.firewall import Firewall, SourceNatRule
from ipvs_lb.model.host import (
    AddAddress,
    HostState,
    InterfaceAddress,
    RemoveAddress,
    SetSysctl,
    SourceNat,
    Surrounding,
    Vip,
)
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPAddress, IPProtocol, ServiceKey
from ipvs_lb.model.settings import Forwarding
from ipvs_lb.model.table import Table

LOOPBACK = "lo"
ALL_INTERFACES = "all"
FORWARDING = {Family.IPV4: "net.ipv4.ip_forward", Family.IPV6: "net.ipv6.conf.all.forwarding"}
CONNTRACK = "net.ipv4.vs.conntrack"
EXPIRE_QUIESCENT = "net.ipv4.vs.expire_quiescent_template"
EXPIRE_NODEST = "net.ipv4.vs.expire_nodest_conn"
CONN_REUSE = "net.ipv4.vs.conn_reuse_mode"
SYSCTLS = (*FORWARDING.values(), CONNTRACK, EXPIRE_QUIESCENT, EXPIRE_NODEST, CONN_REUSE)
"""Every sysctl that `sysctl_needs` and `reuse_needs` may name."""
_REUSE_IS_MENDED = (5, 9)


def place(vips: Iterable[Vip], state: HostState) -> tuple[PlacedVip, ...]:
    """The managed VIPs on their interfaces, each place once, in the order given.

    Without an interface of its own a VIP goes to the one with the narrowest subnet around it, else to
    `lo`. Nothing is announced on `lo`. Raises HostError when an interface does not exist.
    """
    placed: dict[InterfaceAddress, bool] = {}
    for vip in vips:
        if vip.managed:
            where = _place_one(vip, state)
            announce = vip.announce and where.interface != LOOPBACK
            placed[where] = placed.get(where, False) or announce
    return tuple(PlacedVip(where, announce) for where, announce in placed.items())


def homeless(vips: Iterable[Vip], state: HostState) -> tuple[Vip, ...]:
    """The VIPs that `place` raises HostError for: the interface each is to be on does not exist."""
    return tuple(
        vip
        for vip in vips
        if vip.managed and vip.interface is not None and vip.interface not in state.interfaces
    )


def unmanaged(vips: Iterable[Vip]) -> frozenset[IPAddress]:
    """The addresses that others add and remove: one that was ours before is left to them."""
    return frozenset(vip.address for vip in vips if not vip.managed)


def _place_one(vip: Vip, state: HostState) -> InterfaceAddress:
    if vip.interface is not None and vip.interface not in state.interfaces:
        raise HostError(
            f"VIP {vip.address}: there is no interface {vip.interface}",
            hint=f"the interfaces here are {', '.join(sorted(state.interfaces))}",
        )
    length = vip.address.max_prefixlen if vip.prefix_length is None else vip.prefix_length
    return InterfaceAddress(vip.interface or _interface_of(vip.address, state), vip.address, length)


def _interface_of(address: IPAddress, state: HostState) -> str:
    around = [own for own in _around(address, state) if own.interface != LOOPBACK]
    if not around:
        return LOOPBACK
    return min(around, key=lambda own: (-own.prefix_length, own.interface)).interface


def _around(address: IPAddress, state: HostState) -> Iterator[InterfaceAddress]:
    """The gateway's addresses whose subnet contains *address*; a lone /32 or /128 is no subnet."""
    for own in state.addresses:
        if own.prefix_length < own.address.max_prefixlen and address in _subnet(own):
            yield own


def _subnet(own: InterfaceAddress) -> IPv4Network | IPv6Network:
    return ip_network((own.address, own.prefix_length), strict=False)


def firewall(config: Config, table: Table, state: HostState) -> Firewall:
    """The rules that the services of *config* need: source NAT for those of *table*, all others in any case."""
    guarded = guarded_vips(config)
    return Firewall(
        source_nat=source_nat_rules(config, table, state),
        access=access_rules(config),
        guarded=guarded,
        opened=opened_services(config, guarded),
    )


def has_rules(config: Config) -> bool:
    """Whether *config* may need a firewall at all."""
    return any(
        one.allow or one.source_nat is not SourceNat.OFF or any(vip.guard for vip in one.vips)
        for one in config.services
    )


def source_nat_rules(config: Config, table: Table, state: HostState) -> frozenset[SourceNatRule]:
    """The rules that make masq servers answer clients of their own subnet through the gateway.

    They are made for the services of *table*. `auto` and `on` translate the subnets of ours that contain
    a server: its clients there would be answered directly. Where no interface of ours is in the server's
    subnet, `auto` does nothing, and `on` translates every client, since none can be told from a neighbour.
    """
    own = {address.address for address in state.addresses}
    return frozenset(
        SourceNatRule(vip, subnet)
        for declared in config.services
        if declared.source_nat is not SourceNat.OFF
        for vip in _addresses(declared, table)
        for server in _masq_servers(declared)
        if server.address.version == vip.version and server.address not in own
        for subnet in _clients_beside(server.address, declared.source_nat, state)
    )


def _addresses(declared: DeclaredService, table: Table) -> Iterator[IPAddress]:
    """The addresses that the keys of *declared* answer on."""
    for key in _keys(declared, table):
        if isinstance(key, AddressKey):
            yield key.address
        else:
            yield from (vip.address for vip in declared.vips)


def _keys(declared: DeclaredService, table: Table) -> Iterator[ServiceKey]:
    return (key for key in declared.keys if key in table.services)


def _masq_servers(declared: DeclaredService) -> list[DeclaredServer]:
    return [
        server
        for server in declared.servers
        if server.forwarding is Forwarding.MASQ and not server.disabled
    ]


def _clients_beside(server: IPAddress, wish: SourceNat, state: HostState) -> set[str]:
    subnets = {str(_subnet(own)) for own in _around(server, state)}
    if subnets or wish is SourceNat.AUTO:
        return subnets
    return {"0.0.0.0/0" if server.version == 4 else "::/0"}  # noqa: PLR2004  # IP versions


@dataclass(frozen=True, slots=True)
class _Requirement:
    """A sysctl that must be 1 for the services that `applies` is true of."""

    name: str
    applies: Callable[[DeclaredService, ServiceKey], bool]
    reason: str


def _is_masq(family: Family) -> Callable[[DeclaredService, ServiceKey], bool]:
    return lambda declared, key: key.family is family and bool(_masq_servers(declared))


def _is_persistent(declared: DeclaredService, _: ServiceKey) -> bool:
    return declared.service.persistence is not None


def _keeps_udp_clients(declared: DeclaredService, key: ServiceKey) -> bool:
    """A mark does not say what it is set on; a check over UDP does."""
    if declared.service.one_packet:
        return False
    if isinstance(key, FwmarkKey):
        return any(
            isinstance(check.method, UdpCheck | DnsCheck)
            for server in declared.servers
            for check in server.checks
        )
    return key.protocol is IPProtocol.UDP


_REQUIREMENTS = (
    *(
        _Requirement(name, _is_masq(family), "masq servers of {} answer through this gateway")
        for family, name in FORWARDING.items()
    ),
    _Requirement(
        EXPIRE_QUIESCENT, _is_persistent, "persistent clients of {} leave a server with weight 0"
    ),
    _Requirement(
        EXPIRE_NODEST, _keeps_udp_clients, "UDP clients of {} leave a server that was removed"
    ),
)


def sysctl_needs(
    config: Config, table: Table, rules: frozenset[SourceNatRule]
) -> tuple[SysctlNeed, ...]:
    """The sysctls that the services of *table* and the source-NAT *rules* depend on, each once."""
    needs = []
    for requirement in _REQUIREMENTS:
        names = [
            declared.name
            for declared in config.services
            if any(requirement.applies(declared, key) for key in _keys(declared, table))
        ]
        if names:
            reason = requirement.reason.format(_enumerate(names))
            needs.append(SysctlNeed(requirement.name, "1", reason))
    if rules:
        shown = _enumerate(sorted(map(str, rules)))
        needs.append(SysctlNeed(CONNTRACK, "1", f"source NAT of {shown}"))
    return tuple(needs)


def reuse_needs(
    table: Table, rules: frozenset[SourceNatRule], state: HostState
) -> tuple[SysctlNeed, ...]:
    """The sysctl without which clients that use a port again wait for a second, on kernels before Linux 5.9.

    With `conn_reuse_mode` 1 and `conntrack` 1 these drop the first packet of such a connection (f0a5e4d7a594, "ipvs:
    allow connection reuse for unconfirmed conntrack"). With 0 such clients stay on a server that drains; its deadline
    ends that.
    """
    concerned = table.services and (rules or state.sysctls.get(CONNTRACK) == "1")
    if not concerned or state.kernel is None or state.kernel >= _REUSE_IS_MENDED:
        return ()
    if CONN_REUSE not in state.sysctls:
        return ()
    reason = "clients that use a port again wait a second with conntrack=1 before Linux 5.9"
    return (SysctlNeed(CONN_REUSE, "0", reason),)


def answer_sysctls(config: Config, state: HostState) -> tuple[str, ...]:
    """The sysctls that `answer_needs` goes by, for the interfaces of *state*; mostly none."""
    ways = _answer_ways(config, state)
    if not ways:
        return ()
    interfaces = {ALL_INTERFACES, *(state.interfaces if ALL_INTERFACES in ways else ways)}
    return tuple(
        _of_interface(interface, what)
        for interface in sorted(interfaces)
        for what in ("accept_local", "rp_filter")
    )


def answer_needs(
    config: Config, vips: Sequence[PlacedVip], state: HostState
) -> tuple[SysctlNeed, ...]:
    """The sysctls without which probes through VIPs hear nothing from dr and tunnel servers.

    These answer from the VIP, which is an address of the gateway too, as long as it is up. An IPv4 packet from an own
    address is dropped unless `accept_local` is set where it comes in; with strict `rp_filter` the address has to be on
    that very interface (__fib_validate_source in net/ipv4/fib_frontend.c). IPv6 does not look.
    """
    homes = {(vip.place.interface, vip.place.address) for vip in vips}
    homes |= {(own.interface, own.address) for own in state.addresses}
    needs = []
    for interface, services in sorted(_answer_ways(config, state).items()):
        names = _enumerate([declared.name for declared in services])
        reason = f"servers of {names} answer probes from the VIP, an address of this gateway"
        if state.sysctls.get(_of_interface(ALL_INTERFACES, "accept_local")) != "1":
            needs.append(SysctlNeed(_of_interface(interface, "accept_local"), "1", reason))
        away = any(
            (interface, address) not in homes
            for declared in services
            for address in _addresses_4(declared)
        )
        if away and _is_strict(interface, state):
            needs.append(SysctlNeed(_of_interface(interface, "rp_filter"), "2", reason))
    return tuple(needs)


def _answer_ways(config: Config, state: HostState) -> dict[str, list[DeclaredService]]:
    """The interfaces on which servers of these services answer probes from the VIP over IPv4."""
    ways: dict[str, list[DeclaredService]] = {}
    for declared in config.services:
        if not any(map(_answers_itself, declared.servers)) or not _addresses_4(declared):
            continue
        for interface in {
            _way_to(server.address, state) for server in declared.servers if _answers_itself(server)
        }:
            ways.setdefault(interface, []).append(declared)
    return ways


def _answers_itself(server: DeclaredServer) -> bool:
    if server.disabled or server.forwarding not in {Forwarding.DR, Forwarding.TUNNEL}:
        return False
    return any(check.via is Via.VIP for check in server.checks)


def _addresses_4(declared: DeclaredService) -> list[IPAddress]:
    return [vip.address for vip in declared.vips if vip.address.version == 4]  # noqa: PLR2004  # IP versions


def _way_to(server: IPAddress, state: HostState) -> str:
    """Where answers of *server* come in; beyond a router that may be anywhere."""
    interface = _interface_of(server, state)
    return ALL_INTERFACES if interface == LOOPBACK else interface


def _is_strict(interface: str, state: HostState) -> bool:
    """Whether packets may come in only where their source would be reached (rp_filter 1; the larger value counts)."""
    general = _rp_filter(ALL_INTERFACES, state)
    concerned = state.interfaces - {LOOPBACK} if interface == ALL_INTERFACES else {interface}
    return any(max(general, _rp_filter(one, state)) == 1 for one in concerned)


def _rp_filter(interface: str, state: HostState) -> int:
    return int(state.sysctls.get(_of_interface(interface, "rp_filter"), "0"))


def _of_interface(interface: str, what: str) -> str:
    """The name of an interface's sysctl, written as sysctl(8) does: a dot in the interface's name is a slash."""
    return f"net.ipv4.conf.{interface.replace('.', '/')}.{what}"


def _enumerate(names: Sequence[str]) -> str:
    """All of up to three names, else two and how many more."""
    if len(names) <= 3:  # noqa: PLR2004  # a line stays readable
        return ", ".join(names)
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"


def missing_sysctls(state: HostState, desired: Desired) -> tuple[SysctlNeed, ...]:
    """The needs that are not met and that nobody but the operator will meet."""
    return () if desired.manage_sysctls else tuple(_unmet(state, desired))


def _unmet(state: HostState, desired: Desired) -> Iterator[SysctlNeed]:
    return (need for need in desired.sysctls if state.sysctls.get(need.name) != need.value)


def host_plan(
    state: HostState, desired: Desired, owned: Owned
) -> tuple[tuple[Surrounding, ...], tuple[Surrounding, ...]]:
    """What is to be done around the table, besides the firewall: what the grown table needs, and what goes.

    Following both reaches *desired*; a second plan is empty.
    """
    wanted = {vip.place for vip in desired.vips}
    replaced = {place for place in owned.addresses if _is_in_the_way(place, wanted, state)}
    before: list[Surrounding] = []
    if desired.manage_sysctls:
        before += [SetSysctl(need.name, need.value, need.reason) for need in _unmet(state, desired)]
    before += [RemoveAddress(place) for place in _sorted(replaced)]
    before += _additions(state, desired, owned)
    gone = (owned.addresses & state.addresses) - wanted - replaced
    after = tuple(
        RemoveAddress(place) for place in _sorted(gone) if place.address not in desired.unmanaged
    )
    return tuple(before), after


def _additions(state: HostState, desired: Desired, owned: Owned) -> Iterator[AddAddress]:
    others = {(own.interface, own.address) for own in state.addresses - owned.addresses}
    for vip in desired.vips:
        taken = (vip.place.interface, vip.place.address) in others
        if vip.place not in state.addresses and not taken:
            yield AddAddress(vip.place, vip.announce)


def _is_in_the_way(
    place: InterfaceAddress, wanted: set[InterfaceAddress], state: HostState
) -> bool:
    """An IPv6 address of ours that is to get another prefix length: an interface has it only once."""
    if place.address.version == 4 or place in wanted or place not in state.addresses:  # noqa: PLR2004  # IP versions
        return False
    return any((new.interface, new.address) == (place.interface, place.address) for new in wanted)


def _sorted(places: Iterable[InterfaceAddress]) -> list[InterfaceAddress]:
    return sorted(
        places,
        key=lambda place: (
            place.interface,
            place.address.version,
            int(place.address),
            place.prefix_length,
        ),
    )


def undo(done: Sequence[Surrounding], state: HostState) -> tuple[Surrounding, ...]:
    """The commands, last first, that bring back *state* whichever of *done* were carried out."""
    return tuple(inverse for command in reversed(done) for inverse in _inverse(command, state))


def _inverse(command: Surrounding, state: HostState) -> Iterator[Surrounding]:
    match command:
        case AddAddress(place, _):
            if place not in state.addresses:
                yield RemoveAddress(place)
        case RemoveAddress(place):
            if place in state.addresses:
                yield AddAddress(place, announce=place.interface != LOOPBACK)
        case SetSysctl(name, _, _):
            if name in state.sysctls:
                yield SetSysctl(name, state.sysctls[name], "as it was")
        case _:
            assert_never(command)
