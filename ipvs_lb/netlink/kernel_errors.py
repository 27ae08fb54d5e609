"""The kernel's errno for a command, as something an operator can act on."""

from __future__ import annotations

import errno
import os
from ipaddress import IPv4Address, IPv6Address

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    EditServer,
    EditService,
    SetTimeouts,
    StartDaemon,
    ZeroCounters,
)
from ipvs_lb.errors import KernelError, Refusal
from ipvs_lb.model.identity import AddressKey, IPAddress
from ipvs_lb.model.settings import Forwarding, Server, Service, TunnelType

_BROADCASTS = frozenset({IPv4Address("255.255.255.255"), IPv4Address("127.255.255.255")})

NOT_PERMITTED = "run as root or grant CAP_NET_ADMIN"
NO_IPVS = (
    "modprobe ip_vs; a kernel built without CONFIG_IP_VS needs another kernel, or a guest kernel"
)


def refusal(command: Command, code: int) -> Refusal:
    """What the operator is told about a refused *command*."""
    reason, hint = _explain(command, code)
    return Refusal(command, code, f"{command}: {reason}", hint)


def unavailable(error: OSError) -> KernelError:
    """IPVS could not be reached or asked at all."""
    match error.errno:
        case errno.EPERM | errno.EACCES:
            return KernelError("IPVS: not permitted", hint=NOT_PERMITTED)
        case errno.ENOENT | errno.EPROTONOSUPPORT | errno.EAFNOSUPPORT:
            return KernelError("IPVS: this kernel does not have it", hint=NO_IPVS)
        case _:
            return KernelError(f"IPVS: {error.strerror or error}")


def _explain(command: Command, code: int) -> tuple[str, str | None]:
    match command, code:
        case _, (errno.EPERM | errno.EACCES):
            return "not permitted", NOT_PERMITTED
        case _, errno.EAGAIN:
            return "the table keeps being changed by someone else", "ipvs-lb status"
        case ((AddService(_, service) | EditService(_, service)), _):
            return _explain_service(command, service, code)
        case ((AddServer(_, _, server) | EditServer(_, _, server)), _):
            return _explain_server(command, server, code)
        case SetTimeouts(), errno.EINVAL:
            return "out of range", "at most 2147483 seconds (2**31 / HZ of this kernel)"
        case StartDaemon(daemon), _:
            return _explain_daemon(daemon.interface, code)
        case ((DeleteServer() | ZeroCounters()), (errno.ESRCH | errno.ENOENT)):
            return "no such service", "ipvs-lb status"
        case _:
            return os.strerror(code), None


def _explain_service(
    command: AddService | EditService, service: Service, code: int
) -> tuple[str, str | None]:
    match code:
        case errno.ENOENT if service.persistence_engine:
            modules = f"ip_vs_{service.scheduler} ip_vs_pe_{service.persistence_engine}"
            return "no such scheduler or persistence engine", f"modprobe --all {modules}"
        case errno.ENOENT:
            return "no such scheduler", f"modprobe ip_vs_{service.scheduler}"
        case errno.EAFNOSUPPORT:
            return "this kernel's IPVS has no IPv6", "modprobe ipv6; needs CONFIG_IP_VS_IPV6"
        case errno.EPROTONOSUPPORT:
            return _no_protocol(command)
        case errno.EINVAL:
            hint = "an IPv6 granularity is a prefix length of 1 to 128"
            return "the kernel finds these settings invalid", hint
        case errno.ENOMEM:
            return "the kernel has no memory left", None
        case _:
            return os.strerror(code), None


def _no_protocol(command: AddService | EditService) -> tuple[str, str]:
    key = command.key
    name = str(key.protocol) if isinstance(key, AddressKey) else "this protocol"
    return f"this kernel's IPVS does not balance {name}", f"needs CONFIG_IP_VS_PROTO_{name.upper()}"


def _explain_server(
    command: AddServer | EditServer, server: Server, code: int
) -> tuple[str, str | None]:
    match code:
        case errno.ESRCH:
            return "no such service", "it was refused too, or removed by someone else meanwhile"
        case errno.ERANGE:
            limits = f"{server.lower_threshold} to {server.upper_threshold}"
            hint = "a weight is not negative, a lower threshold not above the upper one"
            return f"weight {server.weight} or thresholds {limits} out of range", hint
        case errno.EINVAL:
            return "the kernel finds these settings invalid", _invalid_server(command, server)
        case errno.EOPNOTSUPP | errno.EAFNOSUPPORT:
            return "this kernel's IPVS cannot reach this address family", "needs CONFIG_IP_VS_IPV6"
        case errno.ENOMEM:
            return "the kernel has no memory left", None
        case _:
            return os.strerror(code), None


def _invalid_server(command: AddServer | EditServer, server: Server) -> str:
    tunnel = server.tunnel
    if not _is_unicast(command.server_key.address):
        return "the address has to be a unicast address"
    if tunnel and tunnel.type is TunnelType.GUE and not tunnel.port:
        return "a gue tunnel needs a port"
    if command.server_key.family is not command.key.family:
        if server.forwarding is not Forwarding.TUNNEL:
            return "a server of the other address family can only be reached by tunnel"
        return "a server of the other address family cannot be used while a sync daemon runs"
    # inet_addr_type() finds no address unicast in a network namespace that has none of its own
    return (
        "ip link set lo up: a network namespace without any address takes no servers; "
        "ip route show table local: a broadcast address of one of its networks is none, either"
    )


def _is_unicast(address: IPAddress) -> bool:
    """As net/netfilter/ipvs/ip_vs_ctl.c has it: no IPv6 link-local and no mapped address either."""
    if isinstance(address, IPv6Address) and (address.is_link_local or address.ipv4_mapped):
        return False
    return not (address.is_multicast or address.is_unspecified or address in _BROADCASTS)


def _explain_daemon(interface: str, code: int) -> tuple[str, str | None]:
    match code:
        case errno.ENODEV:
            return f"no interface {interface}", "ip link show"
        case errno.EINVAL:
            hint = (
                "the interface must be able to multicast, the group be a multicast address, the sync id 0 to 255, "
                "and every server of its service's address family"
            )
            return "the kernel finds these settings invalid", hint
        case errno.EADDRNOTAVAIL:
            return f"interface {interface} has no usable address", f"ip addr show dev {interface}"
        case _:
            return os.strerror(code), None
