"""Which options go with which command of ipvsadm, and which with which kind of tunnel."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from ipvs_lb.errors import RuleError

# In the order in which they are looked at, which decides what is complained about.
_ORDER = (
    "numeric", "connection", "service-address", "scheduler", "persistent", "netmask", "real-server",
    "forwarding-method", "weight", "u-threshold", "l-threshold", "mcast-interface", "timeout", "daemon", "stats",
    "rate", "thresholds", "persistent-conn", "nosort", "syncid", "exact", "ops", "pe", "sched-flags", "mcast-group",
    "mcast-port", "mcast-ttl", "sync-maxlen", "tun-info", "tun-type", "tun-port", "tun-nocsum", "tun-csum",
    "tun-remcsum",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Legal:
    """The options that must be there, those that may, and those of which one may."""

    needed: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    one_of: frozenset[str] = frozenset()


def _legal(needed: str = "", optional: str = "", one_of: str = "") -> Legal:
    return Legal(*(frozenset(words.split()) for words in (needed, optional, one_of)))


_SERVICE = _legal("service-address", "scheduler persistent netmask ops pe sched-flags")
_SERVER = _legal(
    "service-address real-server",
    "forwarding-method weight u-threshold l-threshold tun-type tun-port tun-nocsum tun-csum tun-remcsum",
)
_COMMANDS = {
    "add-service": _SERVICE,
    "edit-service": _SERVICE,
    "delete-service": _legal("service-address"),
    "flush": _legal(),
    "list": _legal(
        optional="numeric stats rate thresholds persistent-conn nosort syncid exact tun-info",
        one_of="connection service-address timeout daemon",
    ),
    "add-server": _SERVER,
    "edit-server": _SERVER,
    "delete-server": _legal("service-address real-server"),
    "set": _legal(),
    "start-daemon": _legal(
        optional="mcast-interface syncid mcast-group mcast-port mcast-ttl sync-maxlen"
    ),
    "stop-daemon": _legal(optional="syncid"),
    "restore": _legal(),
    "save": _legal(optional="numeric"),
    "zero": _legal(optional="service-address"),
}
_TUNNELS = {
    "ipip": _legal(),
    "gue": _legal("tun-port", one_of="tun-nocsum tun-csum tun-remcsum"),
    "gre": _legal(one_of="tun-nocsum tun-csum"),
}
_OF_TUNNELS = ("tun-port", "tun-nocsum", "tun-csum", "tun-remcsum")


def check_command(command: str, given: Set[str]) -> None:
    """Raises RuleError unless the *given* options go with *command*."""
    _check(_COMMANDS[command], _ORDER, given, f"'{command}' command")


def check_tunnel(kind: str, given: Set[str]) -> None:
    """Raises RuleError unless the *given* options go with a tunnel of this *kind*."""
    _check(_TUNNELS[kind], _OF_TUNNELS, given, f"'{kind}' tunnel type")


def _check(legal: Legal, order: Iterable[str], given: Set[str], subject: str) -> None:
    chosen: str | None = None
    for name in order:
        if name in legal.needed and name not in given:
            raise RuleError(f"You need to supply the '{name}' option for the {subject}")
        if name not in given or name in legal.needed | legal.optional:
            continue
        if name not in legal.one_of:
            raise RuleError(f"Illegal '{name}' option with the {subject}")
        if chosen is not None:
            raise RuleError(
                f"The option '{name}' conflicts with the '{chosen}' option in the {subject}"
            )
        chosen = name
