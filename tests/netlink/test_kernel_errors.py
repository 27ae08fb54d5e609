"""What the kernel refuses is told with the service, the server and the next step."""

from __future__ import annotations

import errno
from ipaddress import ip_address

import pytest

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteService,
    EditService,
    Flush,
    SetTimeouts,
    StartDaemon,
    ZeroCounters,
)
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    PrefixLength,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelType,
)
from ipvs_lb.netlink.kernel_errors import refusal, unavailable

WEB = AddressKey(IPProtocol.SCTP, ip_address("10.0.0.16"), Port(80))
MARK = FwmarkKey(7, Family.IPV6)
MH = Service(scheduler="mh")
SIP = Service(
    scheduler="rr", persistence=Persistence(9, PrefixLength(64)), persistence_engine="sip"
)
MASTER = SyncDaemon(role=SyncRole.MASTER, interface="eth9")


def add(address: str, server: Server = Server()) -> AddServer:  # noqa: B008  # frozen
    return AddServer(WEB, ServerKey(ip_address(address), Port(80)), server)


GUE = Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel(TunnelType.GUE))
IPIP = Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel())


@pytest.mark.parametrize(
    ("command", "code", "message", "hint"),
    [
        (Flush(), errno.EPERM, "flush the table: not permitted", "CAP_NET_ADMIN"),
        (
            AddService(WEB, MH),
            errno.ENOENT,
            "add service sctp/10.0.0.16:80 scheduler mh: no such scheduler",
            "modprobe ip_vs_mh",
        ),
        (
            EditService(MARK, SIP),
            errno.ENOENT,
            "no such scheduler or persistence engine",
            "modprobe --all ip_vs_rr ip_vs_pe_sip",
        ),
        (AddService(MARK, MH), errno.EAFNOSUPPORT, "has no IPv6", "CONFIG_IP_VS_IPV6"),
        (AddService(WEB, MH), errno.EPROTONOSUPPORT, "balance sctp", "CONFIG_IP_VS_PROTO_SCTP"),
        (AddService(MARK, MH), errno.EPROTONOSUPPORT, "this protocol", "CONFIG_IP_VS_PROTO"),
        (AddService(MARK, SIP), errno.EINVAL, "finds these settings invalid", "1 to 128"),
        (AddService(WEB, MH), errno.ENOMEM, "no memory left", ""),
        (AddService(WEB, MH), errno.EBUSY, "Device or resource busy", ""),
        (add("10.0.0.4"), errno.ESRCH, "to sctp/10.0.0.16:80 weight 1: no such service", "refused"),
        (add("10.0.0.4"), errno.ERANGE, "weight 1 or thresholds 0 to 0 out of range", "weight"),
        (add("10.0.0.4", GUE), errno.EINVAL, "add server 10.0.0.4:80", "needs a port"),
        (add("224.0.0.4"), errno.EINVAL, "invalid", "unicast"),
        (add("0.0.0.0"), errno.EINVAL, "invalid", "unicast"),
        (add("255.255.255.255"), errno.EINVAL, "invalid", "unicast"),
        (add("127.255.255.255"), errno.EINVAL, "invalid", "unicast"),
        (add("10.0.0.255"), errno.EINVAL, "invalid", "broadcast address"),
        (add("fe80::1", IPIP), errno.EINVAL, "invalid", "unicast"),
        (add("::ffff:10.0.0.4", IPIP), errno.EINVAL, "invalid", "unicast"),
        (add("fd00::1"), errno.EINVAL, "invalid", "only be reached by tunnel"),
        (add("fd00::1", IPIP), errno.EINVAL, "invalid", "while a sync daemon runs"),
        (add("10.0.0.4"), errno.EINVAL, "invalid", "ip link set lo up"),
        (add("fd00::1"), errno.EAFNOSUPPORT, "cannot reach this address family", "IPV6"),
        (add("10.0.0.4"), errno.ENOMEM, "no memory left", ""),
        (add("10.0.0.4"), errno.EIO, "Input/output error", ""),
        (StartDaemon(MASTER), errno.ENODEV, "no interface eth9", "ip link show"),
        (StartDaemon(MASTER), errno.EADDRNOTAVAIL, "no usable address", "ip addr show dev eth9"),
        (StartDaemon(MASTER), errno.EINVAL, "invalid", "multicast"),
        (StartDaemon(MASTER), errno.ENOMEM, "Cannot allocate memory", ""),
        (SetTimeouts(Timeouts(tcp=9, tcp_fin=9, udp=9)), errno.EINVAL, "out of range", "HZ"),
        (ZeroCounters(WEB), errno.ESRCH, "no such service", "ipvs-lb status"),
        (EditService(WEB, MH), errno.EAGAIN, "being changed by someone else", "ipvs-lb status"),
        (DeleteService(WEB), errno.EBUSY, "delete service sctp/10.0.0.16:80: Device", ""),
    ],
)  # fmt: skip
def test_a_refusal_says_what_and_what_to_do(
    command: Command, code: int, message: str, hint: str
) -> None:
    told = refusal(command, code)
    assert (told.command, told.code) == (command, code)
    assert told.message.startswith(f"{command}: ")
    assert message in told.message
    assert hint in (told.hint or "")


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (errno.EPERM, "IPVS: not permitted", "CAP_NET_ADMIN"),
        (errno.ENOENT, "IPVS: this kernel does not have it", "modprobe ip_vs"),
        (errno.EPROTONOSUPPORT, "IPVS: this kernel does not have it", "modprobe ip_vs"),
        (errno.EIO, "IPVS: Input/output error", ""),
    ],
)
def test_without_ipvs_the_operator_is_told_how_to_get_it(
    code: int, message: str, hint: str
) -> None:
    told = unavailable(OSError(code, "Input/output error"))
    assert str(told) == message
    assert hint in (told.hint or "")
