"""Virtual services as netlink bytes and back (linux/ip_vs.h, IPVS_SVC_ATTR_*).

A service of a protocol this program does not know is nobody it could manage: it decodes to None.
Flag bits without a meaning here are ignored when reading and left alone when editing.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from struct import Struct

from ipvs_lb.model.counters import Counters
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port, ServiceKey
from ipvs_lb.model.settings import Persistence, PrefixLength, SchedulerFlags, Service
from ipvs_lb.netlink import counters
from ipvs_lb.netlink.attributes import (
    Attributes,
    address,
    attribute,
    parse_family,
    port,
    text,
    u16,
    u32,
)

AF, PROTOCOL, ADDRESS, PORT, FWMARK, SCHEDULER = 1, 2, 3, 4, 5, 6
FLAGS, TIMEOUT, NETMASK, STATS, ENGINE, STATS64 = 7, 8, 9, 10, 11, 12

_PERSISTENT, _ONE_PACKET, _SCHEDULER_SHIFT = 0x01, 0x04, 3
_SCHEDULER_FLAGS = 0x38
_KNOWN_FLAGS = _PERSISTENT | _ONE_PACKET | _SCHEDULER_FLAGS
_FLAGS = Struct("=II")
_PROTOCOLS = {protocol.value: protocol for protocol in IPProtocol}
_WHOLE_ADDRESS = {Family.IPV4: 0xFFFFFFFF, Family.IPV6: 128}


def encode_key(key: ServiceKey) -> bytes:
    """The content of IPVS_CMD_ATTR_SERVICE that names a service."""
    if isinstance(key, FwmarkKey):
        return u16(AF, key.family) + u32(FWMARK, key.mark)
    return (
        u16(AF, key.family)
        + u16(PROTOCOL, key.protocol)
        + address(ADDRESS, key.address)
        + port(PORT, key.port)
    )


def encode(key: ServiceKey, service: Service) -> bytes:
    """The content of IPVS_CMD_ATTR_SERVICE that names and sets a service."""
    engine = text(ENGINE, service.persistence_engine) if service.persistence_engine else b""
    return (
        encode_key(key)
        + text(SCHEDULER, service.scheduler)
        + attribute(FLAGS, _FLAGS.pack(_flags(service), _KNOWN_FLAGS))
        + u32(TIMEOUT, service.persistence.timeout if service.persistence else 0)
        + attribute(NETMASK, _netmask(key.family, service.persistence))
        + engine
    )


def decode(content: bytes) -> tuple[ServiceKey, Service] | None:
    """What *content* names and sets; None when its protocol is unknown.

    Raises CodecError when the bytes are malformed.
    """
    attributes = Attributes("service", content)
    key = _key(attributes)
    return None if key is None else (key, _service(attributes, key.family))


def decode_counters(content: bytes) -> tuple[ServiceKey, Counters] | None:
    """Whom *content* names and what it counted; None when its protocol is unknown. Raises CodecError."""
    attributes = Attributes("service", content)
    key = _key(attributes)
    return None if key is None else (key, counters.decode(attributes, STATS, STATS64))


def _flags(service: Service) -> int:
    return (
        (_PERSISTENT if service.persistence else 0)
        | (_ONE_PACKET if service.one_packet else 0)
        | service.flags.value << _SCHEDULER_SHIFT
    )


def _netmask(family: Family, persistence: Persistence | None) -> bytes:
    """Network order for an IPv4 mask, machine order for an IPv6 prefix length.

    A service without persistence needs a valid one too: the kernel refuses an IPv6 prefix of 0.
    """
    value = int(persistence.granularity) if persistence else _WHOLE_ADDRESS[family]
    return value.to_bytes(4, "big" if family is Family.IPV4 else sys.byteorder)


def _key(attributes: Attributes) -> ServiceKey | None:
    family = parse_family(attributes.u16(AF))
    if FWMARK in attributes:
        return FwmarkKey(attributes.u32(FWMARK), family)
    protocol = _PROTOCOLS.get(attributes.u16(PROTOCOL))
    if protocol is None:
        return None
    return AddressKey(protocol, attributes.address(ADDRESS, family), Port(attributes.port(PORT)))


def _service(attributes: Attributes, family: Family) -> Service:
    flags = _FLAGS.unpack(attributes.payload(FLAGS, _FLAGS.size))[0]
    return Service(
        scheduler=attributes.text(SCHEDULER),
        flags=SchedulerFlags((flags & _SCHEDULER_FLAGS) >> _SCHEDULER_SHIFT),
        persistence=_persistence(attributes, family) if flags & _PERSISTENT else None,
        persistence_engine=(attributes.text(ENGINE) if ENGINE in attributes else "") or None,
        one_packet=bool(flags & _ONE_PACKET),
    )


def _persistence(attributes: Attributes, family: Family) -> Persistence:
    timeout = attributes.u32(TIMEOUT)
    if family is Family.IPV4:
        return Persistence(timeout, IPv4Address(attributes.payload(NETMASK, 4)))
    return Persistence(timeout, PrefixLength(attributes.u32(NETMASK)))
