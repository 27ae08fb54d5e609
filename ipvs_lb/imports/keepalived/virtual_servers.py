"""virtual_server: one or more services of a draft.

What is not said has keepalived 2.2.7's own defaults: UDP, wlc, NAT, and the method is decided at the end of the block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from ipvs_lb.config import values
from ipvs_lb.config.draft import DraftServer
from ipvs_lb.imports.drafting import Marked, unlike
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.keepalived.addresses import FAMILIES, Entry, entry
from ipvs_lb.imports.keepalived.checkers import times
from ipvs_lb.imports.keepalived.forwarding import Way
from ipvs_lb.imports.keepalived.given import Giver
from ipvs_lb.imports.keepalived.http_checkers import Surroundings
from ipvs_lb.imports.keepalived.quorums import quorum
from ipvs_lb.imports.keepalived.real_servers import HOOKS, MAILS, Real, method, real, sorry
from ipvs_lb.imports.keepalived.statements import Block, Statement
from ipvs_lb.model.config import OnDown, Quorum
from ipvs_lb.model.identity import Family, IPAddress, IPProtocol, family_of
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    SCHEDULERS,
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Service,
)

_PROTOCOLS = {"TCP": IPProtocol.TCP, "UDP": IPProtocol.UDP, "SCTP": IPProtocol.SCTP}
_ANY_FLAGS = {
    "flag-1": SchedulerFlags.FLAG_1,
    "flag-2": SchedulerFlags.FLAG_2,
    "flag-3": SchedulerFlags.FLAG_3,
}
_NAMED_FLAGS = {name: flag for flags in SCHEDULER_FLAGS.values() for name, flag in flags.items()}
_PERSISTENCE = 360
_LONGEST = 31 * values.DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the rest of the file says: groups, who holds which address, and what checkers share."""

    groups: Mapping[str, list[Entry]]
    holders: Mapping[IPAddress, str]
    around: Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Virtual:
    """A virtual_server, understood; `granularity` as it is written, which a family gives its meaning."""

    title: str
    group: str
    mark: Mark
    entries: tuple[Entry, ...]
    protocol: IPProtocol
    settings: Service
    persistence: int | None
    granularity: str
    family: Family | None
    servers: tuple[DraftServer, ...]
    on_down: OnDown
    quorum: Quorum | None
    wish: str

    def service(self, family: Family) -> Service:
        """The settings in the kernel of the service of *family*."""
        if self.persistence is None:
            return replace(self.settings, persistence_engine=None)
        return replace(self.settings, persistence=self._persistence(self.persistence, family))

    def _persistence(self, timeout: int, family: Family) -> Persistence:
        own = self.granularity if _granularity_family(self.granularity) is family else ""
        if family is Family.IPV6:
            return Persistence(timeout, PrefixLength(int(own or 128)))
        return Persistence(timeout, IPv4Address(own or "255.255.255.255"))


def virtual(statement: Statement, scene: Scene, findings: Findings) -> Virtual | None:
    """What a virtual_server block says; None, and told, when it answers nowhere or has no servers."""
    entries = _entries(statement, scene, findings)
    if not entries:
        return None
    giver = Giver(Block(statement), statement.title, findings)
    _leave_out(giver)
    has_mark_only = all(one.fwmark is not None for one in entries)
    protocol = _protocol(giver, needed=not has_mark_only)
    settings = _settings(giver, protocol, entries)
    persistence, granularity = _persistence(giver, entries)
    family = giver.value(values.choice("family", FAMILIES), "ip_family")
    servers, inhibited = _servers(giver, scene, entries)
    result = Virtual(
        title=statement.title,
        group=statement.values[1] if statement.value == "group" else "",
        mark=statement.mark,
        entries=entries,
        protocol=protocol,
        settings=settings,
        persistence=persistence,
        granularity=granularity,
        family=family or _granularity_family(granularity),
        servers=tuple(servers),
        on_down=_on_down(giver, inhibited),
        quorum=quorum(giver, servers),
        wish=giver.text("snmp_name") or "",
    )
    giver.end()
    if not servers:
        findings.unneeded(statement.mark, statement.title, "without servers keepalived ignores it")
        return None
    return result


def _entries(statement: Statement, scene: Scene, findings: Findings) -> tuple[Entry, ...]:
    if statement.value == "group":
        name = " ".join(statement.values[1:])
        if name not in scene.groups:
            findings.left_out(statement.mark, statement.title, "there is no such group")
        return tuple(scene.groups.get(name, ()))
    try:
        return (entry(statement.values, statement.mark),)
    except ValueError as error:
        findings.left_out(statement.mark, statement.title, str(error))
        return ()


def _leave_out(giver: Giver) -> None:
    giver.left_out(
        "checks go on wherever the address is", "run the daemon where the VIP is", "ha_suspend"
    )
    giver.left_out(
        "programs are run by hooks only", HOOKS.format(events="quorum.regained"), "quorum_up"
    )
    giver.left_out(
        "programs are run by hooks only", HOOKS.format(events="quorum.lost"), "quorum_down"
    )
    giver.left_out(*MAILS, "smtp_alert")
    giver.unneeded("the table stays when the daemon stops, and nobody is told", "omega")
    giver.unneeded("the kernel sets this flag by itself", "hashed")


def _protocol(giver: Giver, *, needed: bool) -> IPProtocol:
    found = giver.value(
        lambda text: values.choice("protocol", _PROTOCOLS)(text.upper()), "protocol"
    )
    if found is None and needed:
        why = "it names no protocol, and keepalived then takes UDP"
        giver.findings.changed(
            giver.block.mark, giver.owner, why, "write protocol: tcp if you meant that"
        )
    return found or IPProtocol.UDP


def _settings(giver: Giver, protocol: IPProtocol, entries: tuple[Entry, ...]) -> Service:
    known = {name: name for name in SCHEDULERS}
    scheduler = giver.value(values.choice("scheduler", known), "lvs_sched", "lb_algo") or "wlc"
    engine = giver.value(values.choice("persistence engine", {"sip": "sip"}), "persistence_engine")
    ops = giver.block.last("ops")
    can = protocol is IPProtocol.UDP or all(one.fwmark is not None for one in entries)
    if ops is not None and not can:
        why = f"one-packet scheduling is for udp, this is {protocol}; keepalived drops it too"
        giver.findings.unneeded(ops.mark, giver.what(ops), why)
    return Service(
        scheduler=scheduler,
        flags=_flags(giver, scheduler),
        persistence_engine=engine,
        one_packet=ops is not None and can,
    )


def _flags(giver: Giver, scheduler: str) -> SchedulerFlags:
    known = {**SCHEDULER_FLAGS.get(scheduler, {}), **_ANY_FLAGS}
    result = SchedulerFlags.NONE
    for statement in giver.block.every(*_ANY_FLAGS, *_NAMED_FLAGS):
        if statement.keyword in known:
            result |= known[statement.keyword]
        else:
            why = f"it is not for scheduler {scheduler}; keepalived drops it too"
            giver.findings.unneeded(statement.mark, giver.what(statement), why)
    return result


def _persistence(giver: Giver, entries: tuple[Entry, ...]) -> tuple[int | None, str]:
    granularity = _fitting_granularity(giver, entries)
    statement = giver.block.last("persistence_timeout")
    if statement is None:
        return (_PERSISTENCE if granularity else None), granularity
    try:
        timeout = values.whole(1, _LONGEST)(statement.value or _PERSISTENCE)
    except ValueError as error:
        giver.findings.left_out(statement.mark, giver.what(statement), str(error))
        return None, granularity
    return timeout, granularity


def _fitting_granularity(giver: Giver, entries: tuple[Entry, ...]) -> str:
    """A netmask over IPv4, a prefix length over IPv6; empty where there is none that fits."""
    families = frozenset[Family]().union(*(one.families for one in entries))

    def read(text: str) -> str:
        found = _granularity(text)
        if families and _granularity_family(found) not in families:
            raise ValueError("expected a netmask over IPv4, a prefix length over IPv6")
        return found

    return giver.value(read, "persistence_granularity") or ""


def _granularity(text: str) -> str:
    if "." in text:
        return str(values.netmask(text))
    return str(values.whole(1, 128)(text))


def _granularity_family(granularity: str) -> Family | None:
    if not granularity:
        return None
    return Family.IPV4 if "." in granularity else Family.IPV6


def _servers(
    giver: Giver, scene: Scene, entries: tuple[Entry, ...]
) -> tuple[list[DraftServer], list[bool | None]]:
    """The real servers and the sorry server, fit for where the virtual server answers."""
    around = replace(scene.around, owner=giver.owner, virtualhost=giver.text("virtualhost"))
    outer = times(giver)
    default = method(giver, "lvs_method", "lb_kind") or Way()
    read = (
        real(one, giver.owner, around, outer, giver.findings)
        for one in giver.block.every("real_server")
    )
    reals = [one for one in read if one is not None]
    last = sorry(giver)
    everyone: list[Real] = [*reals, last] if last else reals
    families = frozenset[Family]().union(*(one.families for one in entries))
    marked: list[Marked] = [
        (_placed(one.by(default), one.mark, entries, giver), one.mark)
        for one in everyone
        if _fits(one.by(default), one.mark, families, giver)
    ]
    return unlike(marked, giver.owner, giver.findings), [one.inhibited for one in reals]


def _fits(server: DraftServer, mark: Mark, families: frozenset[Family], giver: Giver) -> bool:
    if server.forwarding is Forwarding.TUNNEL or not families - {family_of(server.address)}:
        return True
    why = "it is not of the virtual server's address family; keepalived skips it too"
    giver.findings.left_out(mark, f"{giver.owner}: {server.address}", why)
    return False


def _placed(
    server: DraftServer, mark: Mark, entries: tuple[Entry, ...], giver: Giver
) -> DraftServer:
    """*server* with the port that it has in the table: only masq maps ports."""
    ports = {one.ports for one in entries if one.fwmark is None}
    what = f"{giver.owner}: {server.address}"
    if server.port is None:
        if giver.owner.startswith("virtual_server group ") and ports:
            why = "it has the port of each service; keepalived gives it port 0 in a group"
            giver.findings.changed(mark, what, why)
        return server
    if ports == {(server.port, server.port)} and all(one.fwmark is None for one in entries):
        return replace(server, port=None)
    if server.forwarding is Forwarding.MASQ:
        return server
    why = f"port {server.port} gives way to the service's, only NAT can map ports"
    giver.findings.changed(mark, what, why)
    return replace(server, port=None)


def _on_down(giver: Giver, inhibited: list[bool | None]) -> OnDown:
    """Whether failing servers stay with weight 0, which is one choice for the whole service."""
    default = giver.flag("inhibit_on_failure") or False
    each = {default if own is None else own for own in inhibited}
    if each == {True}:
        return OnDown.QUIESCE
    if True in each:
        why = "it is a setting of the whole service, on_down, and some of its servers have it not"
        giver.findings.left_out(giver.block.mark, f"{giver.owner}: inhibit_on_failure", why)
    return OnDown.REMOVE
