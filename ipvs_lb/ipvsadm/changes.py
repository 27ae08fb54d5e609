"""What a complete command line of ipvsadm changes, as a command for the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    StartDaemon,
    ZeroCounters,
)
from ipvs_lb.errors import RuleError
from ipvs_lb.ipvsadm.draft import DEFAULT_SCHEDULER, Draft
from ipvs_lb.ipvsadm.legal import check_tunnel
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    ServerKey,
    ServiceKey,
    family_of,
)
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Tunnel,
)

_DEFAULT_INTERFACE = "eth0"
_ONE_CLIENT = IPv4Address("255.255.255.255")
_OF_TUNNELS = {"tun-type", "tun-port", "tun-nocsum", "tun-csum", "tun-remcsum"}


def service_key(draft: Draft) -> ServiceKey:
    """The virtual service that is named."""
    if draft.address is None or draft.protocol is None:
        return FwmarkKey(draft.mark, draft.family or Family.IPV4)
    return AddressKey(draft.protocol, draft.address, draft.port)


def start_daemon(draft: Draft, role: SyncRole) -> StartDaemon:
    """What starts the sync daemon that is described."""
    return StartDaemon(
        SyncDaemon(
            role=role,
            interface=draft.interface or _DEFAULT_INTERFACE,
            sync_id=draft.sync_id,
            max_length=draft.max_length,
            group=draft.group,
            port=draft.sync_port,
            ttl=draft.ttl,
        )
    )


def _zero(draft: Draft) -> Command:
    named = draft.mark or draft.port or (draft.address is not None and int(draft.address))
    return ZeroCounters(service_key(draft) if named else None)


def _service(draft: Draft) -> tuple[ServiceKey, Service]:
    if not draft.mark and not draft.port and draft.persistence is None:
        raise RuleError("Zero port specified for non-persistent service")
    if draft.one_packet and not draft.mark and draft.protocol is not IPProtocol.UDP:
        raise RuleError("One-Packet Scheduling is only for UDP virtual services")
    return service_key(draft), Service(
        scheduler=draft.scheduler or DEFAULT_SCHEDULER,
        flags=draft.flags(),
        persistence=_persistence(draft),
        persistence_engine=draft.engine or None,
        one_packet=draft.one_packet,
    )


def _persistence(draft: Draft) -> Persistence | None:
    if draft.persistence is None:
        return None
    return Persistence(draft.persistence, draft.granularity or _ONE_CLIENT)


def _server_key(draft: Draft) -> tuple[ServiceKey, ServerKey]:
    return service_key(draft), ServerKey(draft.server_address, draft.server_port)


def _server(draft: Draft) -> tuple[ServiceKey, ServerKey, Server]:
    """With the service's port where the packets are not rewritten; for a mark the port does not matter."""
    tunnels = draft.forwarding is Forwarding.TUNNEL
    if not draft.mark and draft.forwarding is not Forwarding.MASQ:
        draft.server_port = draft.port
    if family_of(draft.server_address) is not draft.family and not tunnels:
        raise RuleError("Different address family is allowed only for tunneling servers")
    if draft.given & _OF_TUNNELS and not tunnels:
        raise RuleError("Tunnel options conflict with forward method")
    check_tunnel(str(draft.tunnel_type), draft.given)
    tunnel = Tunnel(draft.tunnel_type, draft.tunnel_port, draft.checksum) if tunnels else None
    return *_server_key(draft), Server(
        forwarding=draft.forwarding,
        weight=draft.weight,
        upper_threshold=draft.upper_threshold,
        lower_threshold=draft.lower_threshold,
        tunnel=tunnel,
    )


CHANGES: Mapping[str, Callable[[Draft], Command]] = {
    "add-service": lambda draft: AddService(*_service(draft)),
    "edit-service": lambda draft: EditService(*_service(draft)),
    "delete-service": lambda draft: DeleteService(service_key(draft)),
    "add-server": lambda draft: AddServer(*_server(draft)),
    "edit-server": lambda draft: EditServer(*_server(draft)),
    "delete-server": lambda draft: DeleteServer(*_server_key(draft)),
    "flush": lambda _: Flush(),
    "zero": _zero,
}
"""What changes services and servers, by the command."""
