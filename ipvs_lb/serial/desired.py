"""A whole desired state and a kept generation as JSON values and back: schema `ipvs_lb/generation/1`."""

from __future__ import annotations

from ipaddress import ip_network

from ipvs_lb.model.desired import Desired, Generation, GenerationSummary, PlacedVip, SysctlNeed
from ipvs_lb.model.firewall import AccessRule, Firewall, SourceNatRule, canonical, in_order
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import parse_service_key
from ipvs_lb.serial.reading import (
    JSON,
    MalformedError,
    address,
    array_of,
    default,
    field,
    flag,
    members,
    parsed,
    seconds,
    text,
    whole,
)
from ipvs_lb.serial.table import table_body, table_from_body

GENERATION_SCHEMA = "ipvs_lb/generation/1"

_count = whole(0, 2**63 - 1)


def generation_to_json(generation: Generation) -> dict[str, JSON]:
    """*generation* with its schema marker."""
    return {
        "schema": GENERATION_SCHEMA,
        **summary_to_json(generation.summary),
        "desired": desired_to_json(generation.desired),
    }


def generation_from_json(value: JSON) -> Generation:
    """The inverse of `generation_to_json`. Raises MalformedError."""
    source = members(value)
    marker = field(source, "schema", text)
    if marker != GENERATION_SCHEMA:
        raise MalformedError(f"expected {GENERATION_SCHEMA}, got {marker}", ("schema",))
    summary = GenerationSummary(
        number=field(source, "generation", _count),
        created=field(source, "created", seconds),
        origin=field(source, "origin", text),
        services=field(source, "service_count", _count),
        servers=field(source, "server_count", _count),
    )
    return Generation(summary=summary, desired=field(source, "desired", desired_from_json))


def summary_to_json(summary: GenerationSummary) -> dict[str, JSON]:
    """One line of the history; `created` is Unix time."""
    return {
        "generation": summary.number,
        "created": summary.created,
        "origin": summary.origin,
        "service_count": summary.services,
        "server_count": summary.servers,
    }


def desired_to_json(desired: Desired) -> dict[str, JSON]:
    """*desired* without a marker, to stand inside something bigger."""
    return {
        "table": table_body(desired.table),
        "vips": [{**place_to_json(vip.place), "announce": vip.announce} for vip in desired.vips],
        **firewall_to_json(desired.firewall),
        "sysctls": [sysctl_to_json(need) for need in desired.sysctls],
        "manage_sysctls": desired.manage_sysctls,
        "unmanaged": sorted(map(str, desired.unmanaged)),
    }


def desired_from_json(value: JSON) -> Desired:
    """The inverse of `desired_to_json`. Raises MalformedError."""
    source = members(value)
    return Desired(
        table=field(source, "table", table_from_body),
        vips=tuple(field(source, "vips", array_of(_vip_from_json))),
        firewall=Firewall(
            source_nat=frozenset(field(source, "source_nat", array_of(_rule_from_json))),
            access=frozenset(default(source, "access", array_of(_access_from_json), list)),
            guarded=frozenset(default(source, "guarded", array_of(address), list)),
            opened=frozenset(default(source, "opened", array_of(parsed(parse_service_key)), list)),
        ),
        sysctls=tuple(field(source, "sysctls", array_of(_sysctl_from_json))),
        manage_sysctls=field(source, "manage_sysctls", flag),
        unmanaged=frozenset(field(source, "unmanaged", array_of(address))),
    )


def place_to_json(place: InterfaceAddress) -> dict[str, JSON]:
    """An address with its prefix length and interface."""
    return {
        "address": str(place.address),
        "prefix_length": place.prefix_length,
        "interface": place.interface,
    }


def firewall_to_json(firewall: Firewall) -> dict[str, JSON]:
    """All rules by kind, sorted."""
    return {
        "source_nat": [
            {"vip": str(rule.vip), "subnet": rule.subnet}
            for rule in sorted(firewall.source_nat, key=SourceNatRule.order)
        ],
        "access": [
            {"service": str(rule.service), "networks": [*rule.networks]}
            for rule in sorted(firewall.access, key=lambda rule: rule.service.order())
        ],
        "guarded": [str(address) for address in in_order(firewall.guarded)],
        "opened": [str(key) for key in sorted(firewall.opened, key=lambda key: key.order())],
    }


def sysctl_to_json(need: SysctlNeed) -> dict[str, JSON]:
    """A needed kernel parameter."""
    return {"name": need.name, "value": need.value, "reason": need.reason}


def _vip_from_json(value: JSON) -> PlacedVip:
    source = members(value)
    place = InterfaceAddress(
        interface=field(source, "interface", text),
        address=field(source, "address", address),
        prefix_length=field(source, "prefix_length", whole(0, 128)),
    )
    return PlacedVip(place, field(source, "announce", flag))


def _rule_from_json(value: JSON) -> SourceNatRule:
    source = members(value)
    subnet = field(source, "subnet", parsed(ip_network))
    return SourceNatRule(field(source, "vip", address), str(subnet))


def _access_from_json(value: JSON) -> AccessRule:
    source = members(value)
    networks = field(source, "networks", array_of(parsed(ip_network)))
    return AccessRule(
        field(source, "service", parsed(parse_service_key)), canonical(map(str, networks))
    )


def _sysctl_from_json(value: JSON) -> SysctlNeed:
    source = members(value)
    return SysctlNeed(
        field(source, "name", text), field(source, "value", text), field(source, "reason", text)
    )
