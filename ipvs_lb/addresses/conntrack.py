"""What conntrack remembers of UDP clients from before their service was there.

A client that keeps its port and asks on keeps its entry, and IPVS changes no entry that is confirmed already
(ip_vs_update_conntrack in net/netfilter/ipvs/ip_vs_nfct.c). Such an entry says that nobody but this host was asked: so
source NAT is not looked up for it, and a firewall that forwards answers of known connections alone drops those of the
server. IPVS itself forgets the entries of clients whose server is removed, with `expire_nodest_conn`.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping, Set
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipvs_lb.addresses.sysctls import PROC_SYS
from ipvs_lb.addresses.trouble import host_error
from ipvs_lb.model.identity import AddressKey, Family, IPAddress

if TYPE_CHECKING:
    from pyroute2 import NFCTSocket

Led = Mapping[AddressKey, Set[IPAddress]]
"""UDP services, and the addresses of the servers their clients are led to."""

_ACTION = "forget UDP clients in conntrack"
_FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_COUNT = "net/netfilter/nf_conntrack_count"
_SECONDS = 5.0
_MOST = 100_000  # entries looked at: kernels before 5.8 do not filter


def forget(services: Led, proc_sys: Path = PROC_SYS) -> int:
    """Remove the entries of clients of *services* that lead to none of their servers; how many there were.

    None where this kernel tracks no connection. Raises HostError, also when there is too much to do.
    """
    if not services or not _tracked(proc_sys):
        return 0
    from pyroute2 import NFCTSocket
    from pyroute2.netlink.exceptions import NetlinkError

    deadline = time.monotonic() + _SECONDS
    forgotten = 0
    try:
        for family, number in _FAMILIES.items():
            own = {key: led for key, led in services.items() if key.family is family}
            if own:
                with NFCTSocket(nfgen_family=number) as tracker:
                    forgotten += _forget(own, tracker, deadline)
    except (NetlinkError, OSError) as error:
        raise host_error(_ACTION, _code(error)) from error
    return forgotten


def _tracked(proc_sys: Path) -> int:
    """How many connections are tracked in this network namespace; without nf_conntrack none."""
    try:
        return int((proc_sys / _COUNT).read_text())
    except (OSError, ValueError):
        return 0


def _forget(services: Led, tracker: NFCTSocket, deadline: float) -> int:
    forgotten = 0
    for key, led in services.items():
        if time.monotonic() > deadline:
            raise OSError(errno.ETIME, "too many services")
        for entry in _strays(key, led, tracker):
            forgotten += _remove(entry, tracker)
    return forgotten


def _strays(key: AddressKey, led: Set[IPAddress], tracker: NFCTSocket) -> list[Any]:
    """The original tuples of the entries of *key* whose answers come from none of *led*.

    The kernel is not asked for one IPv6 address: it then gives all others (Linux 6.1, ctnetlink_filter_match_tuple).
    """
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    family = _FAMILIES[key.family]
    address = str(key.address) if key.family is Family.IPV4 else None
    wanted = NFCTAttrTuple(family=family, daddr=address, proto=int(key.protocol), dport=key.port)
    found = []
    for number, entry in enumerate(tracker.dump(tuple_orig=wanted)):
        if number >= _MOST:
            raise OSError(errno.E2BIG, "too many connections")
        asked, answered = (_tuple(entry, side, family) for side in ("ORIG", "REPLY"))
        if _is_of(key, asked) and ip_address(answered.saddr) not in led:
            found.append(asked)
    return found


def _tuple(entry: Any, side: str, family: int) -> Any:
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    return NFCTAttrTuple.from_netlink(family, entry.get_attr(f"CTA_TUPLE_{side}"))


def _is_of(key: AddressKey, asked: Any) -> bool:
    where = (asked.proto, ip_address(asked.daddr), asked.dport)
    return where == (key.protocol, key.address, key.port)


def _remove(asked: Any, tracker: NFCTSocket) -> bool:
    """Whether the entry was still there."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        tracker.entry("del", tuple_orig=asked)
    except NetlinkError as error:
        if error.code != errno.ENOENT:
            raise
        return False
    return True


def _code(error: Exception) -> int:
    return int(getattr(error, "code", None) or getattr(error, "errno", None) or 0)
