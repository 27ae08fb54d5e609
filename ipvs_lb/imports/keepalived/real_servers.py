"""real_server and sorry_server."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ipvs_lb.config import values
from ipvs_lb.config.draft import DraftServer
from ipvs_lb.imports.drafting import weight
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.keepalived.checkers import CHECKERS, Checkers, Times, times
from ipvs_lb.imports.keepalived.forwarding import Way, way
from ipvs_lb.imports.keepalived.given import Giver
from ipvs_lb.imports.keepalived.http_checkers import Surroundings
from ipvs_lb.imports.keepalived.statements import Block, Statement

HOOKS = "a hook on {events} can run a program: hooks: in the configuration"
MAILS = "no mail is sent", HOOKS.format(events="server.* and quorum.*")


@dataclass(frozen=True, slots=True)
class Real:
    """A real server as far as its virtual server does not decide, and where it stands."""

    server: DraftServer
    own_way: Way | None
    inhibited: bool | None
    mark: Mark

    def by(self, default: Way) -> DraftServer:
        """It under a virtual server whose method is *default*."""
        chosen = self.own_way or default
        return replace(self.server, forwarding=chosen.forwarding, tunnel=chosen.tunnel)


def real(
    statement: Statement, owner: str, around: Surroundings, outer: Times, findings: Findings
) -> Real | None:
    """What a real_server block says; None, and told, when its address makes no sense."""
    try:
        server = _place(statement.values)
    except ValueError as error:
        findings.left_out(statement.mark, f"{owner}: {statement.title}", str(error))
        return None
    giver = Giver(Block(statement), f"{owner}: {statement.title}", findings)
    own = times(giver).within(outer)
    giver.left_out(
        "programs are not run for a single server", HOOKS.format(events="server.up"), "notify_up"
    )
    giver.left_out(
        "programs are not run for a single server",
        HOOKS.format(events="server.down"),
        "notify_down",
    )
    giver.left_out(*MAILS, "smtp_alert")
    giver.unneeded("there is no SNMP", "snmp_name")
    surroundings = replace(
        around, owner=giver.owner, virtualhost=giver.text("virtualhost") or around.virtualhost
    )
    written = giver.block.every(*CHECKERS)
    checks = Checkers(surroundings, own, findings).read(written)
    if written and not checks:
        why = "none of its checkers has a counterpart: it is taken for healthy at all times"
        findings.left_out(statement.mark, giver.owner, why, "write a health_check: for it")
    heavy = giver.number("weight")
    result = Real(
        replace(
            _limited(giver, server),
            weight=weight(1 if heavy is None else heavy, statement.mark, giver.owner, findings),
            checks=checks,
        ),
        method(giver, "lvs_method", "lb_kind"),
        giver.flag("inhibit_on_failure"),
        statement.mark,
    )
    giver.end()
    return result


def sorry(giver: Giver) -> Real | None:
    """The sorry server among the statements of a virtual server, in the tier behind the real servers."""
    own = method(giver, "sorry_server_lvs_method")
    giver.left_out(
        "a sorry server is in the table only while it serves",
        "",
        "sorry_server_inhibit",
    )
    statement = giver.block.last("sorry_server")
    if statement is None:
        return None
    try:
        server = _place(statement.values)
    except ValueError as error:
        giver.findings.left_out(statement.mark, giver.what(statement), str(error))
        return None
    return Real(replace(server, tier=1, checks=()), own, None, statement.mark)


def method(giver: Giver, *keywords: str) -> Way | None:
    """The forwarding method that a block names."""
    statement = giver.block.last(*keywords)
    if statement is None:
        return None
    try:
        return way(statement.values)
    except ValueError as error:
        giver.findings.left_out(statement.mark, giver.what(statement), str(error))
        return None


def _place(words: list[str]) -> DraftServer:
    address = values.address(words[0] if words else "")
    number = values.whole(0, 65535, "a port")(words[1] if words[1:] else "0")
    return DraftServer(address=address, port=values.port(number) if number else None)


def _limited(giver: Giver, server: DraftServer) -> DraftServer:
    upper = giver.number("uthreshold") or 0
    statement = giver.block.last("lthreshold")
    lower = int(statement.value) if statement and statement.value.isdigit() else 0
    if statement is not None and lower > upper:
        why = f"it is above uthreshold, {upper}"
        giver.findings.left_out(statement.mark, giver.what(statement), why)
        lower = 0
    return replace(server, upper_threshold=upper, lower_threshold=lower)
