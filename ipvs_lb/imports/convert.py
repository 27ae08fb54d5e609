"""From the text of another program's file to the text of ours, with what became of each setting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ipvs_lb.config import render_draft
from ipvs_lb.config.draft import Draft
from ipvs_lb.errors import ConfigError
from ipvs_lb.imports import ipvsctl, rules
from ipvs_lb.imports.findings import Effect, Finding, Findings, Mark
from ipvs_lb.imports.keepalived import translate as keepalived
from ipvs_lb.imports.keepalived.lines import TooMuchError
from ipvs_lb.imports.kinds import Kind
from ipvs_lb.imports.ldirectord import translate as ldirectord
from ipvs_lb.imports.sources import Source, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The configuration, and the findings in the order of the file."""

    kind: Kind
    text: str
    findings: tuple[Finding, ...]
    services: int
    servers: int

    def those(self, effect: Effect) -> list[Finding]:
        """The findings with *effect*."""
        return [one for one in self.findings if one.effect is effect]


def convert(file: Text, kind: Kind, *, source: Source, config_id: str) -> Imported:
    """*file* as a configuration that loads. Raises ConfigError when it goes round in circles."""
    findings = Findings()
    try:
        draft = _draft(file, kind, source, config_id, findings)
    except TooMuchError as error:
        raise ConfigError((str(error),)) from error
    rendered = render_draft(_headed(draft, file, kind))
    for refused in rendered.refused:
        mark = _mark(refused.origin, file)
        findings.left_out(
            mark, refused.name, refused.reason, "mend it where it stands as a comment"
        )
    gone = {refused.name for refused in rendered.refused}
    there = [one for one in draft.services if one.name not in gone]
    order = sorted(findings.found, key=lambda one: (one.mark.file != file.name, one.mark))
    return Imported(
        kind=kind,
        text=rendered.text,
        findings=tuple(order),
        services=len(there),
        servers=sum(
            len(draft.pools[one.servers] if isinstance(one.servers, str) else one.servers)
            for one in there
        ),
    )


def _draft(file: Text, kind: Kind, source: Source, config_id: str, findings: Findings) -> Draft:
    match kind:
        case Kind.KEEPALIVED:
            return keepalived.translate(file, source, config_id, findings)
        case Kind.LDIRECTORD:
            return ldirectord.translate(file.text, file.name, findings)
        case Kind.IPVSADM:
            return rules.translate(file.text, file.name, findings)
        case Kind.IPVSCTL:
            return ipvsctl.translate(file.text, file.name, findings)


def _headed(draft: Draft, file: Text, kind: Kind) -> Draft:
    head = f"Made by `ipvs-lb import` from {file.name} ({kind})."
    return replace(draft, remarks=(head, *draft.remarks))


def _mark(origin: str, file: Text) -> Mark:
    name, _, line = origin.rpartition(":")
    return Mark(name, int(line)) if line.isdigit() else Mark(file.name, 1)
