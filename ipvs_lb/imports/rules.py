"""Rules of ipvsadm, as `ipvsadm -S` prints them or a script has them, as a draft."""

from __future__ import annotations

from dataclasses import replace

from ipvs_lb.commands import AddService, perform
from ipvs_lb.config.draft import Draft
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.tables import drafted
from ipvs_lb.ipvsadm.rules import BadRule, read_rules
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Table

_ABSENT = "what it is about is not there", "put it after the rule that adds that"
_PRESENT = "what it adds is there already", "take out one of the two"


def translate(text: str, name: str, findings: Findings) -> Draft:
    """The table that the rules in *text* make of an empty one."""
    table = Table()
    origins: dict[ServiceKey, Mark] = {}
    lines = text.split("\n")
    for rule in read_rules(_without_paths(text)):
        mark, line = Mark(name, rule.number), lines[rule.number - 1].strip()
        if isinstance(rule, BadRule):
            findings.left_out(
                mark, line, rule.reason, "names are not looked up: ipvsadm -Sn has numbers"
            )
            continue
        if isinstance(rule.command, AddService):
            origins.setdefault(rule.command.key, mark)
        try:
            table = perform(table, rule.command)
        except FileExistsError:
            findings.left_out(mark, line, *_PRESENT)
        except FileNotFoundError:
            findings.left_out(mark, line, *_ABSENT)
    draft = drafted(table, lambda key: str(origins[key]))
    return replace(draft, remarks=findings.remarks())


def _without_paths(text: str) -> str:
    """Scripts call ipvsadm by its path, and a rule's own reader knows it by name only."""
    return text.replace("/usr/sbin/ipvsadm", "ipvsadm").replace("/sbin/ipvsadm", "ipvsadm")
