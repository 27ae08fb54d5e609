"""What a service answers on: its VIPs, and the virtual services they make with its ports or its mark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ipvs_lb.config.forms import ServiceForm, VipForm
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.tree import Block, Spot
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPAddress,
    Port,
    ServiceKey,
    family_of,
)

MAX_KEYS = 2**17
_IPV4_BITS = 32


@dataclass(frozen=True, slots=True)
class WrittenVip:
    """A VIP where it is written; `bare` when only its address is."""

    vip: Vip
    spot: Spot
    bare: bool


@dataclass(frozen=True, slots=True)
class Listeners:
    """The VIPs of a service and its keys in the order of addresses, then ports."""

    vips: tuple[WrittenVip, ...]
    keys: tuple[ServiceKey, ...]

    @property
    def families(self) -> frozenset[Family]:
        """The address families of the keys."""
        return frozenset(key.family for key in self.keys)


def listeners(
    form: ServiceForm, raw: Block, spot: Spot, problems: Problems, *, guard_vips: bool
) -> Listeners:
    """What the service answers on; everything that does not go together is a problem.

    *guard_vips* holds for VIPs that do not say themselves whether they are guarded.
    """
    _exclude(raw, "vip", "vips", spot, problems)
    vips = tuple(_vips(form, spot, problems, guard_vips=guard_vips))
    if "fwmark" in raw:
        return Listeners(vips, _marked(form, raw, vips, spot, problems))
    if "family" in raw:
        spot.at("family").note(problems, "family goes with fwmark only", at_key=True)
    _exclude(raw, "port", "ports", spot, problems)
    for one, many, what in (("vip", "vips", "an address"), ("port", "ports", "a port")):
        if (one not in raw and many not in raw) or raw.get(many) == []:
            spot.at(many).note(problems, f"{what} to answer on is missing: {one} or {many}")
    ports = _ports(form, spot, problems)
    if len(ports) * len(vips) > MAX_KEYS:
        spot.at("ports").note(problems, f"more than {MAX_KEYS} pairs of address and port")
        return Listeners(vips, ())
    pairs = product((written.vip.address for written in vips), ports)
    return Listeners(vips, tuple(AddressKey(form.protocol, *pair) for pair in pairs))


def _exclude(raw: Block, one: str, other: str, spot: Spot, problems: Problems) -> None:
    if one in raw and other in raw:
        spot.at(other).note(problems, f"either {one} or {other}, not both", at_key=True)


def _vips(
    form: ServiceForm, spot: Spot, problems: Problems, *, guard_vips: bool
) -> Iterator[WrittenVip]:
    written = [(form.vip, spot.at("vip"))] if form.vip else []
    written += [(vip, spot.at("vips", index)) for index, vip in enumerate(form.vips)]
    seen: dict[IPAddress, Spot] = {}
    for vip, where in written:
        if vip.address in seen:
            first = seen[vip.address].place()
            where.note(problems, f"address {vip.address} is already given at {first}")
            continue
        seen[vip.address] = where
        parsed = _vip(vip, where, problems, guard_vips=guard_vips)
        yield WrittenVip(parsed, where, vip.model_fields_set == {"address"})


def _vip(form: VipForm, spot: Spot, problems: Problems, *, guard_vips: bool) -> Vip:
    if form.prefix is not None and form.prefix > form.address.max_prefixlen:
        spot.at("prefix").note(
            problems, f"an IPv4 prefix has at most {_IPV4_BITS} bits, found {form.prefix}"
        )
    return Vip(
        address=form.address,
        interface=form.interface,
        prefix_length=form.prefix,
        announce=form.announce,
        managed=form.managed,
        guard=guard_vips if form.guard is None else form.guard,
    )


def _marked(
    form: ServiceForm, raw: Block, vips: tuple[WrittenVip, ...], spot: Spot, problems: Problems
) -> tuple[ServiceKey, ...]:
    for key in ("port", "ports", "protocol"):
        if key in raw:
            what = "a service told by fwmark has neither protocol nor ports, the firewall decides"
            spot.at(key).note(problems, what, at_key=True)
    if form.fwmark is None:
        return ()
    families = {family_of(written.vip.address) for written in vips}
    family = form.family or (min(families) if families else Family.IPV4)
    if families - {family}:
        what = f"the addresses of an {family} fwmark service must be {family}"
        spot.at("vips" if form.vips else "vip").note(problems, what)
    return (FwmarkKey(form.fwmark, family),)


def _ports(form: ServiceForm, spot: Spot, problems: Problems) -> list[Port]:
    seen: dict[int, Spot] = {}
    key = "ports" if form.ports else "port"
    for index, (first, last) in enumerate(form.ports or form.port):
        where = spot.at(key, index)
        again = [port for port in range(first, last + 1) if port in seen]
        if again:
            where.note(problems, f"port {again[0]} is already given at {seen[again[0]].place()}")
        seen |= dict.fromkeys(range(first, last + 1), where)
    return [Port(port) for port in seen]
