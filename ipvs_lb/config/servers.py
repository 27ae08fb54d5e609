"""Real servers: reading lists of them, and what they become under one service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ipvs_lb.config.checks import checks_of, without_checks
from ipvs_lb.config.forms import ServerForm, TunnelForm
from ipvs_lb.config.problems import Problems, shown
from ipvs_lb.config.tree import Spot
from ipvs_lb.config.validation import fill
from ipvs_lb.model.checks import HealthCheck
from ipvs_lb.model.config import DeclaredServer
from ipvs_lb.model.identity import Family, IPAddress, Port, endpoint, family_of
from ipvs_lb.model.settings import Forwarding, Tunnel, TunnelChecksum, TunnelType

_CHECKSUMS = {
    TunnelType.IPIP: {TunnelChecksum.NONE},
    TunnelType.GRE: {TunnelChecksum.NONE, TunnelChecksum.CSUM},
    TunnelType.GUE: set(TunnelChecksum),
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What servers have where they do not say otherwise, as it is written."""

    server: Mapping[str, object]
    health_check: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """A server as one list has it."""

    index: int
    name: str
    form: ServerForm
    tunnel: Tunnel | None
    checks: tuple[HealthCheck, ...] | None


@dataclass(frozen=True, slots=True)
class Roster:
    """A list of servers, and where it stands."""

    spot: Spot
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What a service means for its servers."""

    forwarding: Forwarding
    tunnel: Tunnel | None
    checks: tuple[HealthCheck, ...]
    families: frozenset[Family]
    ports: frozenset[int]


def roster(raw: object, spot: Spot, defaults: Defaults, problems: Problems) -> Roster:
    """The servers of the list *raw* that are fit to be seen."""
    if not isinstance(raw, list):
        spot.note(problems, f"expected a list, found {shown(raw)}")
        return Roster(spot)
    entries = [
        entry
        for index, one in enumerate(raw)
        if (entry := _entry(one, index, spot, defaults, problems)) is not None
    ]
    _refuse_twins(entries, spot, problems)
    return Roster(spot, tuple(entries))


def _entry(
    raw: object, index: int, owner: Spot, defaults: Defaults, problems: Problems
) -> Entry | None:
    spot = owner.at(index)
    if not isinstance(raw, dict):
        spot.note(problems, f"expected a mapping with an address, found {shown(raw)}")
        return None
    merged = {**defaults.server, **raw} if defaults.server else raw
    filled = fill(ServerForm, without_checks(merged), spot, problems)
    if filled is None:
        return None
    form = filled.form
    if form.lower_threshold > form.upper_threshold:
        what = f"lower_threshold {form.lower_threshold} is above upper_threshold {form.upper_threshold}"
        spot.at("lower_threshold").note(problems, what)
    name = form.name or (
        str(form.address) if form.port is None else endpoint(form.address, form.port)
    )
    tunnel = tunnel_of(form.tunnel, spot.at("tunnel"), problems) if form.tunnel else None
    return Entry(index, name, form, tunnel, checks_of(raw, spot, defaults.health_check, problems))


def _refuse_twins(entries: Sequence[Entry], spot: Spot, problems: Problems) -> None:
    """The same address and port, or the same name, twice in one list."""
    places: dict[tuple[IPAddress, Port | None], int] = {}
    names: dict[str, int] = {}
    for entry in entries:
        place = (entry.form.address, entry.form.port)
        first = places.setdefault(place, entry.index)
        namesake = names.setdefault(entry.name, entry.index)
        if first != entry.index:
            what = f"the same server is already at {spot.at(first).place()}"
            spot.at(entry.index, "address").note(problems, what)
        elif namesake != entry.index:
            what = f'another server is called "{entry.name}" at {spot.at(namesake).place()}'
            spot.at(entry.index, "name").note(problems, what)


def tunnel_of(form: TunnelForm, spot: Spot, problems: Problems) -> Tunnel:
    """The encapsulation, checked by the rules of ip_vs_ctl.c and ip_vs_xmit.c."""
    if form.type is TunnelType.GUE and form.port is None:
        spot.note(problems, "a gue tunnel needs a port, the UDP port the servers listen on")
    if form.type is not TunnelType.GUE and form.port is not None:
        spot.at("port").note(problems, f"only gue tunnels have a port, this is {form.type}")
    if form.checksum not in _CHECKSUMS[form.type]:
        what = f"{form.type} tunnels have no {form.checksum}, expected " + " or ".join(
            sorted(map(str, _CHECKSUMS[form.type]))
        )
        spot.at("checksum").note(problems, what)
    return Tunnel(form.type, form.port or Port(0), form.checksum)


def declared(servers: Roster, setting: Setting, problems: Problems) -> tuple[DeclaredServer, ...]:
    """The servers as one service has them."""
    _refuse_hidden_twins(servers, setting.ports, problems)
    return tuple(_declared(entry, servers.spot, setting, problems) for entry in servers.entries)


def _declared(entry: Entry, owner: Spot, setting: Setting, problems: Problems) -> DeclaredServer:
    form = entry.form
    forwarding = setting.forwarding if form.forwarding is None else form.forwarding
    for key, what in _misfits(entry, forwarding, setting):
        owner.at(entry.index, key).note(problems, what)
    tunnel = entry.tunnel or setting.tunnel or Tunnel()
    return DeclaredServer(
        name=entry.name,
        address=form.address,
        port=form.port,
        weight=form.weight,
        forwarding=forwarding,
        tunnel=tunnel if forwarding is Forwarding.TUNNEL else None,
        upper_threshold=form.upper_threshold,
        lower_threshold=form.lower_threshold,
        tier=form.backup,
        disabled=form.disabled,
        checks=setting.checks if entry.checks is None else entry.checks,
    )


def _misfits(entry: Entry, forwarding: Forwarding, setting: Setting) -> Iterator[tuple[str, str]]:
    """What the kernel would refuse or get wrong about a server of this service."""
    form = entry.form
    if forwarding is not Forwarding.MASQ and form.port is not None and setting.ports - {form.port}:
        yield (
            "port",
            f"with {forwarding} the server's port is the service's own, only masq can map to {form.port}",
        )
    if forwarding is Forwarding.TUNNEL:
        return
    if setting.families - {family_of(form.address)}:
        families = " and ".join(map(str, sorted(setting.families)))
        yield (
            "address",
            f"{form.address} is not {families} as the service is, only forwarding tunnel can mix families",
        )
    if entry.tunnel is not None:
        yield "tunnel", f"tunnel goes with forwarding tunnel, this is {forwarding}"


def _refuse_hidden_twins(servers: Roster, ports: frozenset[int], problems: Problems) -> None:
    """One server that names the service's port and one that leaves it out are the same."""
    plain = {
        entry.form.address: entry.index for entry in servers.entries if entry.form.port is None
    }
    if len(plain) == len(servers.entries):
        return
    for entry in servers.entries:
        twin = plain.get(entry.form.address)
        if twin is not None and entry.form.port in ports:
            what = f"with the service's port this is the server at {servers.spot.at(twin).place()}"
            servers.spot.at(entry.index, "address").note(problems, what)
