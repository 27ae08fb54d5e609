"""Sync daemons, timeouts and version as netlink bytes and back (linux/ip_vs.h)."""

from __future__ import annotations

from ipvs_lb.model.identity import Family, IPAddress, Port
from ipvs_lb.model.settings import SyncDaemon, SyncRole, Timeouts
from ipvs_lb.model.table import KernelInfo
from ipvs_lb.netlink.attributes import Attributes, attribute, text, u8, u16, u32

STATE, INTERFACE, SYNC_ID, MAX_LENGTH, GROUP, GROUP6, PORT, TTL = range(1, 9)
TCP, TCP_FIN, UDP = 4, 5, 6  # these stand beside IPVS_CMD_ATTR_DAEMON, not in it
VERSION, TABLE_SIZE = 1, 2


def encode_role(role: SyncRole) -> bytes:
    """The content of IPVS_CMD_ATTR_DAEMON that names a daemon."""
    return u32(STATE, role)


def encode(daemon: SyncDaemon) -> bytes:
    """The content of IPVS_CMD_ATTR_DAEMON that starts a daemon; what is None or 0 is left to the kernel."""
    return b"".join(
        (
            encode_role(daemon.role),
            text(INTERFACE, daemon.interface),
            u32(SYNC_ID, daemon.sync_id),
            u16(MAX_LENGTH, daemon.max_length) if daemon.max_length else b"",
            _group(daemon.group) if daemon.group else b"",
            u16(PORT, daemon.port) if daemon.port else b"",
            u8(TTL, daemon.ttl) if daemon.ttl else b"",
        )
    )


def decode(content: bytes) -> SyncDaemon | None:
    """The daemon in *content*; None when its role is unknown. Raises CodecError when malformed."""
    attributes = Attributes("sync daemon", content)
    state = attributes.u32(STATE)
    if state not in {SyncRole.MASTER, SyncRole.BACKUP}:
        return None
    return SyncDaemon(
        role=SyncRole(state),
        interface=attributes.text(INTERFACE),
        sync_id=attributes.u32(SYNC_ID),
        max_length=attributes.u16(MAX_LENGTH, 0),
        group=_decode_group(attributes),
        port=Port(attributes.u16(PORT, 0)),
        ttl=attributes.u8(TTL, 0),
    )


def encode_timeouts(timeouts: Timeouts) -> bytes:
    """The attributes of IPVS_CMD_SET_CONFIG."""
    return u32(TCP, timeouts.tcp) + u32(TCP_FIN, timeouts.tcp_fin) + u32(UDP, timeouts.udp)


def decode_timeouts(content: bytes) -> Timeouts:
    """What IPVS_CMD_GET_CONFIG answers; a kernel without TCP or UDP balancing says 0. Raises CodecError."""
    attributes = Attributes("timeouts", content)
    return Timeouts(
        tcp=attributes.u32(TCP, 0), tcp_fin=attributes.u32(TCP_FIN, 0), udp=attributes.u32(UDP, 0)
    )


def decode_info(content: bytes) -> KernelInfo:
    """What IPVS_CMD_GET_INFO answers. Raises CodecError."""
    attributes = Attributes("info", content)
    version = attributes.u32(VERSION)
    return KernelInfo(
        version=(version >> 16 & 0xFF, version >> 8 & 0xFF, version & 0xFF),
        connection_table_size=attributes.u32(TABLE_SIZE, 0),
    )


def _group(group: IPAddress) -> bytes:
    return attribute(GROUP if group.version == 4 else GROUP6, group.packed)  # noqa: PLR2004  # IP versions


def _decode_group(attributes: Attributes) -> IPAddress | None:
    if GROUP6 in attributes:
        return attributes.address(GROUP6, Family.IPV6)
    return attributes.address(GROUP, Family.IPV4) if GROUP in attributes else None
