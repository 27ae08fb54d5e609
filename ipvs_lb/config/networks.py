"""The block `networks`: its forms, and the networks they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Annotated

from pydantic import Field

from ipvs_lb.config import values
from ipvs_lb.config.fields import Form, Scalar
from ipvs_lb.config.kinds import Boolean, MaybeAddress, MaybeInterface, Name
from ipvs_lb.config.problems import Problems, shown
from ipvs_lb.config.tree import Spot
from ipvs_lb.model.cloud import AddressRange, IPNetwork, Network, Subnet, identifier_of
from ipvs_lb.model.identity import IPAddress

_IPV4 = 4
_LEAST_HOST_BITS = 2  # in smaller IPv4 networks every address is one of a host (RFC 3021)


def _cidr(value: object) -> IPNetwork:
    """A network without host bits."""
    found = values.text(value)
    try:
        return ip_network(found)
    except ValueError:
        raise ValueError(f"expected a network such as 10.0.0.0/24, found {shown(value)}") from None


def _range(value: object) -> AddressRange:
    """`FIRST-LAST`, or one address."""
    first, dash, last = values.text(value).partition("-")
    low = values.address(first.strip())
    high = values.address(last.strip()) if dash else low
    if low.version != high.version or int(low) > int(high):
        raise ValueError(f"expected FIRST-LAST, the lower address first, found {shown(value)}")
    return AddressRange(low, high)


Cidr = Annotated[IPNetwork, Scalar(_cidr, "network", {"type": "string"})]
Range = Annotated[AddressRange, Scalar(_range, "FIRST-LAST", {"type": "string"})]


class SubnetForm(Form):
    """Addresses of a network."""

    name: Name = Field(description="Its name in the compatible API; once in the file.")
    cidr: Cidr = Field(description="Its addresses.")
    gateway: MaybeAddress = Field(
        default=None, description="Shown as the subnet's gateway, and never given out."
    )
    pools: list[Range] = Field(
        default=[],
        description="Addresses that may be given out, to VIPs and in an external network to floating IPs. Default: none "
        "but those that are asked for one by one.",
    )
    interface: MaybeInterface = Field(
        default=None,
        description="Where these addresses are put. Default: the interface whose subnet contains them.",
    )


class NetworkForm(Form):
    """A network of the compatible API."""

    name: Name = Field(description="Its name; once in the file.")
    external: Boolean = Field(default=False, description="Floating IPs come from it.")
    subnets: list[SubnetForm] = Field(description="Its subnets.", min_length=1)


def networks_of(
    forms: Sequence[NetworkForm], spot: Spot, problems: Problems
) -> tuple[Network, ...]:
    """The networks of the block at *spot*; everything that does not go together is a problem."""
    names: dict[str, Spot] = {}
    for index, form in enumerate(forms):
        _once("network", form.name, spot.at(index, "name"), names, problems)
    subnets: dict[str, Spot] = {}
    for subnet, where in _subnets(forms, spot):
        _once("subnet", subnet.name, where.at("name"), subnets, problems)
        _check_subnet(subnet, where, problems)
    _check_overlaps(list(_subnets(forms, spot)), problems)
    return tuple(map(_network, forms))


def _subnets(forms: Sequence[NetworkForm], spot: Spot) -> Iterator[tuple[SubnetForm, Spot]]:
    for index, form in enumerate(forms):
        for number, subnet in enumerate(form.subnets):
            yield subnet, spot.at(index, "subnets", number)


def _once(kind: str, name: str, where: Spot, seen: dict[str, Spot], problems: Problems) -> None:
    first = seen.setdefault(name, where)
    if first is not where:
        where.note(problems, f"another {kind} is called {shown(name)} at {first.place()}")


def _check_subnet(form: SubnetForm, where: Spot, problems: Problems) -> None:
    if form.gateway is not None and form.gateway not in form.cidr:
        where.at("gateway").note(problems, f"{form.gateway} is not in {form.cidr}")
    for number, pool in enumerate(form.pools):
        place = where.at("pools", number)
        if pool.first not in form.cidr or pool.last not in form.cidr:
            place.note(problems, f"{_shown(pool)} is not in {form.cidr}")
            continue
        for address, what in _reserved(form):
            if _overlap(pool, AddressRange(address, address)):
                place.note(problems, f"{_shown(pool)} contains {address}, {what}")


def _reserved(form: SubnetForm) -> Iterator[tuple[IPAddress, str]]:
    """Addresses that no host can have."""
    if form.gateway is not None:
        yield form.gateway, "the gateway"
    cidr = form.cidr
    if cidr.version == _IPV4 and cidr.max_prefixlen - cidr.prefixlen >= _LEAST_HOST_BITS:
        yield cidr.network_address, "the network itself"
        yield cidr.broadcast_address, "the broadcast address"


def _check_overlaps(subnets: Sequence[tuple[SubnetForm, Spot]], problems: Problems) -> None:
    """A VIP is told its subnet by its address: there can be one only."""
    for index, (form, where) in enumerate(subnets):
        for other, first in subnets[:index]:
            if form.cidr.version == other.cidr.version and form.cidr.overlaps(other.cidr):
                place = first.at("cidr").place()
                where.at("cidr").note(problems, f"{form.cidr} overlaps {other.cidr} at {place}")
        for number, pool in enumerate(form.pools):
            for before in range(number):
                if _overlap(pool, form.pools[before]):
                    place = where.at("pools", before).place()
                    what = f"{_shown(pool)} overlaps {_shown(form.pools[before])} at {place}"
                    where.at("pools", number).note(problems, what)


def _overlap(one: AddressRange, other: AddressRange) -> bool:
    if one.first.version != other.first.version:
        return False
    return int(one.first) <= int(other.last) and int(other.first) <= int(one.last)


def _shown(pool: AddressRange) -> str:
    return str(pool.first) if pool.first == pool.last else f"{pool.first}-{pool.last}"


def _network(form: NetworkForm) -> Network:
    identifier = identifier_of("network", form.name)
    return Network(
        id=identifier,
        name=form.name,
        external=form.external,
        subnets=tuple(
            Subnet(
                id=identifier_of("subnet", subnet.name),
                name=subnet.name,
                network_id=identifier,
                cidr=subnet.cidr,
                gateway=subnet.gateway,
                pools=tuple(subnet.pools),
                interface=subnet.interface,
            )
            for subnet in form.subnets
        ),
    )
