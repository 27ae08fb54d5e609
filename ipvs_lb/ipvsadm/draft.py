"""What the options of one command line of ipvsadm say, option by option, in the order in which they stand.

The order matters, as in ipvsadm: a server without a port has that of the service that was named before it, and what a
netmask means depends on the family known so far.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import NoReturn

from ipvs_lb.errors import RuleError
from ipvs_lb.ipvsadm.words import Names, ipv4, ipv6, leading_number, number, place
from ipvs_lb.model.identity import NO_PORT, Family, IPAddress, IPProtocol, family_of
from ipvs_lb.model.settings import (
    MAX_WEIGHT,
    SCHEDULER_FLAGS,
    Forwarding,
    PrefixLength,
    SchedulerFlags,
    TunnelChecksum,
    TunnelType,
)

MAX_TIMEOUT = 31 * 86400
DEFAULT_PERSISTENCE = 360
DEFAULT_SCHEDULER = "wlc"

NOWHERE = IPv4Address(0)

_MAX_PORT, _MAX_MARK, _INT_MAX, _IPV6_BITS = 65535, 2**32 - 1, 2**31 - 1, 128
_NAME = 15  # characters of the name of an interface or scheduler
_ENGINE = 16
_FLAGS = 127
_MAX_MESSAGE = 65535 - 20 - 8
_FLAG_NAMES = {f"flag-{number}": flag for number, flag in enumerate(SchedulerFlags, start=1)}


class Draft:
    """The values that options have set so far, and the names of those options."""

    def __init__(self, names: Names) -> None:
        self.given: set[str] = set()
        self.protocol: IPProtocol | None = None
        self.address: IPAddress | None = None
        self.port = NO_PORT
        self.mark = 0
        self.family: Family | None = None
        self.granularity: IPv4Address | PrefixLength | None = None
        self.scheduler = ""
        self.persistence: int | None = None
        self.engine = ""
        self.one_packet = False
        self.server_address: IPAddress = NOWHERE
        self.server_port = NO_PORT
        self.forwarding = Forwarding.DR
        self.weight = 1
        self.upper_threshold = 0
        self.lower_threshold = 0
        self.tunnel_type = TunnelType.IPIP
        self.tunnel_port = NO_PORT
        self.checksum = TunnelChecksum.NONE
        self.interface = ""
        self.sync_id = 0
        self.max_length = 0
        self.group: IPAddress | None = None
        self.sync_port = NO_PORT
        self.ttl = 0
        self._names = names
        self._flags = ""

    def set(self, option: str, value: str | None, argument: str) -> None:
        """Do what *option*, which stands in *argument*, says. Raises RuleError."""
        if option == "sort":  # is the default
            return
        if option == "ipv6":
            self._ipv6()
        elif option in _FLAG_OPTIONS:
            self._give(_FLAG_OPTIONS[option])
            self._flag(option)
        elif option == "persistent":
            self._give(option)
            self.persistence = DEFAULT_PERSISTENCE if value is None else timeout(value, least=1)
        elif option in _VALUED_OPTIONS and value is not None:
            name, store = _VALUED_OPTIONS[option]
            self._give(name)
            store(self, value)
        else:
            raise RuleError(f"invalid option `{argument}'")

    def flags(self) -> SchedulerFlags:
        """The scheduler's flags, whose names depend on the scheduler. Raises RuleError."""
        scheduler = self.scheduler or DEFAULT_SCHEDULER
        flags = SchedulerFlags.NONE
        for name in filter(None, self._flags.split(",")):
            flags |= _flag(name, scheduler)
        return flags

    def _give(self, name: str) -> None:
        if name in self.given:
            raise RuleError(f"multiple '{name}' options specified")
        self.given.add(name)

    def _flag(self, option: str) -> None:
        if option in _METHODS:
            self.forwarding = _METHODS[option]
        elif option in _CHECKSUMS:
            self.checksum = _CHECKSUMS[option]
        elif option == "ops":
            self.one_packet = True

    def _ipv6(self) -> None:
        if not self.mark:
            raise RuleError("-6 used before -f\n")
        self.family = Family.IPV6
        self.granularity = PrefixLength(_IPV6_BITS)

    def _service(self, protocol: IPProtocol, value: str) -> None:
        self.protocol = protocol
        found = place(value, protocol, self._names)
        if found is None:
            _illegal("virtual server address[:port]")
        self.address, self.family = found.address, family_of(found.address)
        self.port = found.port or NO_PORT
        if self.family is Family.IPV6:
            self.granularity = PrefixLength(_IPV6_BITS)

    def tcp(self, value: str) -> None:
        """`-t`."""
        self._service(IPProtocol.TCP, value)

    def udp(self, value: str) -> None:
        """`-u`."""
        self._service(IPProtocol.UDP, value)

    def sctp(self, value: str) -> None:
        """`--sctp-service`."""
        self._service(IPProtocol.SCTP, value)

    def fwmark(self, value: str) -> None:
        """`-f`."""
        mark = number(value, 1, _MAX_MARK)
        if mark is None:
            raise RuleError(f"invalid fwmark value `{value}' specified")
        self.family, self.protocol, self.mark = Family.IPV4, IPProtocol.TCP, mark

    def real_server(self, value: str) -> None:
        """`-r`: the service's port where it names none."""
        found = place(value, self.protocol, self._names)
        if found is None:
            _illegal("real server address[:port]")
        self.server_address = found.address
        self.server_port = self.port if found.port is None else found.port

    def netmask(self, value: str) -> None:
        """`-M`: a prefix length for IPv6."""
        if self.family is Family.IPV6:
            length = leading_number(value)
            if not 1 <= length <= _IPV6_BITS:
                _illegal("ipv6 netmask")
            self.granularity = PrefixLength(length)
            return
        self.granularity = ipv4(value, self._names)
        if self.granularity is None:
            _illegal("virtual server persistent mask")

    def mcast_group(self, value: str) -> None:
        """`--mcast-group`."""
        version = 6 if ":" in value else 4
        group = ipv6(value) if ":" in value else _dotted(value)
        if group is None or not group.is_multicast:
            raise RuleError(f"invalid IPv{version} mcast-group `{value}'")
        self.group = group

    def tun_type(self, value: str) -> None:
        """`--tun-type`."""
        kinds = {str(kind): kind for kind in TunnelType}
        if value not in kinds:
            _illegal("tunnel type")
        self.tunnel_type = kinds[value]

    def sched_flags(self, value: str) -> None:
        """`-b`."""
        self._flags = value[:_FLAGS]


def timeout(value: str, *, least: int = 0) -> int:
    """Seconds, 31 days at most. Raises RuleError."""
    seconds = number(value, least, MAX_TIMEOUT)
    if seconds is None:
        raise RuleError(f"invalid timeout value `{value}' specified")
    return seconds


def _illegal(what: str) -> NoReturn:
    raise RuleError(f"illegal {what} specified")


def _dotted(value: str) -> IPv4Address | None:
    try:
        return IPv4Address(value)
    except ValueError:
        return None


def _flag(name: str, scheduler: str) -> SchedulerFlags:
    own = SCHEDULER_FLAGS.get(scheduler, {})
    if name in _FLAG_NAMES or name in own:
        return _FLAG_NAMES.get(name) or own[name]
    known = any(name in names for names in SCHEDULER_FLAGS.values())
    raise RuleError(f"{'incompatible' if known else 'invalid'} scheduler flag `{name}'")


def _text(attribute: str, longest: int) -> Callable[[Draft, str], None]:
    """Stores the first *longest* characters."""

    def store(draft: Draft, value: str) -> None:
        setattr(draft, attribute, value[:longest])

    return store


def _number(attribute: str, name: str, least: int, most: int) -> Callable[[Draft, str], None]:
    """Stores a number between *least* and *most*."""

    def store(draft: Draft, value: str) -> None:
        found = number(value, least, most)
        if found is None:
            _illegal(name)
        setattr(draft, attribute, found)

    return store


_METHODS = {
    "masquerading": Forwarding.MASQ,
    "ipip": Forwarding.TUNNEL,
    "gatewaying": Forwarding.DR,
}
_CHECKSUMS = {
    "tun-nocsum": TunnelChecksum.NONE,
    "tun-csum": TunnelChecksum.CSUM,
    "tun-remcsum": TunnelChecksum.REMCSUM,
}
# The options by what they count as where it is checked which go together.
_FLAG_OPTIONS = {
    **dict.fromkeys(_METHODS, "forwarding-method"),
    **{
        name: name
        for name in (
            *_CHECKSUMS,
            *("connection", "numeric", "timeout", "daemon", "stats", "rate", "thresholds"),
            *("persistent-conn", "nosort", "exact", "ops", "tun-info"),
        )
    },
}
_VALUED_OPTIONS: dict[str, tuple[str, Callable[[Draft, str], None]]] = {
    "tcp-service": ("service-address", Draft.tcp),
    "udp-service": ("service-address", Draft.udp),
    "sctp-service": ("service-address", Draft.sctp),
    "fwmark-service": ("service-address", Draft.fwmark),
    "scheduler": ("scheduler", _text("scheduler", _NAME)),
    "netmask": ("netmask", Draft.netmask),
    "real-server": ("real-server", Draft.real_server),
    "weight": ("weight", _number("weight", "weight", 0, MAX_WEIGHT)),
    "u-threshold": ("u-threshold", _number("upper_threshold", "u_threshold", 0, _INT_MAX)),
    "l-threshold": ("l-threshold", _number("lower_threshold", "l_threshold", 0, _INT_MAX)),
    "mcast-interface": ("mcast-interface", _text("interface", _NAME)),
    "syncid": ("syncid", _number("sync_id", "syncid", 0, 255)),
    "pe": ("pe", _text("engine", _ENGINE)),
    "sched-flags": ("sched-flags", Draft.sched_flags),
    "mcast-group": ("mcast-group", Draft.mcast_group),
    "mcast-port": ("mcast-port", _number("sync_port", "mcast-port", 1, _MAX_PORT)),
    "mcast-ttl": ("mcast-ttl", _number("ttl", "mcast-ttl", 1, 255)),
    "sync-maxlen": ("sync-maxlen", _number("max_length", "sync-maxlen", 1, _MAX_MESSAGE)),
    "tun-type": ("tun-type", Draft.tun_type),
    "tun-port": ("tun-port", _number("tunnel_port", "tunnel port", 1, _MAX_PORT)),
}
