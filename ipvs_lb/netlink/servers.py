"""Real servers as netlink bytes and back (linux/ip_vs.h, IPVS_DEST_ATTR_*).

A forwarding method or tunnel type this program does not know reads as BYPASS, which no config can ask for:
a plan replaces it, and it can be seen and deleted.
"""

from __future__ import annotations

from struct import Struct

from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import Family, Port, ServerKey, family_of
from ipvs_lb.model.settings import Forwarding, Server, Tunnel, TunnelChecksum, TunnelType
from ipvs_lb.netlink import counters
from ipvs_lb.netlink.attributes import Attributes, header, parse_family

ADDRESS, PORT, METHOD, WEIGHT, UPPER, LOWER, ACTIVE, INACTIVE, PERSISTENT = range(1, 10)
STATS, FAMILY, STATS64, TUNNEL_TYPE, TUNNEL_PORT, TUNNEL_FLAGS = range(10, 16)

_METHOD_MASK = 0x07  # IP_VS_CONN_F_FWD_MASK
_METHODS = {method.value: method for method in Forwarding}
_TUNNEL_TYPES = {kind.value: kind for kind in TunnelType}
_IPIP = Tunnel()

_SETTINGS = Struct("=4sI 4sI 4sI 4sI 4sB3x 4s2s2x 4sH2x")
_KEY = Struct("=4s16s 4s2s2x 4sH2x")
_ADDRESS_HEADER, _PORT_HEADER, _FAMILY_HEADER = (
    header(ADDRESS, 16),
    header(PORT, 2),
    header(FAMILY, 2),
)
_METHOD_HEADER, _WEIGHT_HEADER = header(METHOD, 4), header(WEIGHT, 4)
_UPPER_HEADER, _LOWER_HEADER = header(UPPER, 4), header(LOWER, 4)
_TUNNEL_TYPE_HEADER, _TUNNEL_PORT_HEADER = header(TUNNEL_TYPE, 1), header(TUNNEL_PORT, 2)
_TUNNEL_FLAGS_HEADER = header(TUNNEL_FLAGS, 2)


def encode_key(key: ServerKey) -> bytes:
    """The content of IPVS_CMD_ATTR_DEST that names a server."""
    address = key.address
    return _KEY.pack(
        _ADDRESS_HEADER,
        address.packed,
        _PORT_HEADER,
        key.port.to_bytes(2, "big"),
        _FAMILY_HEADER,
        family_of(address),
    )


def encode(key: ServerKey, server: Server) -> bytes:
    """The content of IPVS_CMD_ATTR_DEST that names and sets a server."""
    tunnel = server.tunnel or _IPIP
    return encode_key(key) + _SETTINGS.pack(
        _METHOD_HEADER,
        server.forwarding,
        _WEIGHT_HEADER,
        server.weight,
        _UPPER_HEADER,
        server.upper_threshold,
        _LOWER_HEADER,
        server.lower_threshold,
        _TUNNEL_TYPE_HEADER,
        tunnel.type,
        _TUNNEL_PORT_HEADER,
        tunnel.port.to_bytes(2, "big"),
        _TUNNEL_FLAGS_HEADER,
        tunnel.checksum,
    )


def decode(content: bytes, service_family: Family) -> tuple[ServerKey, Server]:
    """What *content* names and sets. Raises CodecError when the bytes are malformed.

    Kernels before 3.18 do not tell a server's family: it is *service_family*.
    """
    attributes = Attributes("server", content)
    return _key(attributes, service_family), decode_settings(attributes)


def decode_counters(content: bytes, service_family: Family) -> tuple[ServerKey, ServerCounters]:
    """Whom *content* names and what it counted. Raises CodecError."""
    attributes = Attributes("server", content)
    return _key(attributes, service_family), ServerCounters(
        active=attributes.u32(ACTIVE, 0),
        inactive=attributes.u32(INACTIVE, 0),
        persistent=attributes.u32(PERSISTENT, 0),
        traffic=counters.decode(attributes, STATS, STATS64),
    )


def decode_settings(attributes: Attributes) -> Server:
    """The settings among *attributes*. Raises CodecError."""
    method = _METHODS.get(attributes.u32(METHOD) & _METHOD_MASK, Forwarding.BYPASS)
    tunnel = _tunnel(attributes) if method is Forwarding.TUNNEL else None
    if method is Forwarding.TUNNEL and tunnel is None:
        method = Forwarding.BYPASS
    return Server(
        forwarding=method,
        weight=attributes.u32(WEIGHT),
        upper_threshold=attributes.u32(UPPER, 0),
        lower_threshold=attributes.u32(LOWER, 0),
        tunnel=tunnel,
    )


def _key(attributes: Attributes, service_family: Family) -> ServerKey:
    family = parse_family(attributes.u16(FAMILY, service_family))
    return ServerKey(attributes.address(ADDRESS, family), Port(attributes.port(PORT)))


def _tunnel(attributes: Attributes) -> Tunnel | None:
    kind = _TUNNEL_TYPES.get(attributes.u8(TUNNEL_TYPE, TunnelType.IPIP))
    if kind is None:
        return None
    flags = attributes.u16(TUNNEL_FLAGS, 0)
    return Tunnel(kind, Port(attributes.port(TUNNEL_PORT, 0)), _checksum(flags))


def _checksum(flags: int) -> TunnelChecksum:
    if flags & TunnelChecksum.REMCSUM:
        return TunnelChecksum.REMCSUM
    return TunnelChecksum.CSUM if flags & TunnelChecksum.CSUM else TunnelChecksum.NONE
