"""The page docs/reference/doctor.md, made from the rules."""

from __future__ import annotations

from collections.abc import Iterator

from ipvs_lb.doctor import RULES, Severity
from ipvs_lb.doctor.about import ABOUT
from ipvs_lb.doctor.finding import Kind, in_reference

_HEAD = """\
# What the doctor finds

Made from the rules; `UPDATE_GOLDEN=1 pytest tests/unit/test_doctor.py` writes it anew. Codes stay what they are.
Every finding also says what there is on this gateway, and how it is mended. For each of them a test makes the fault on a
real kernel, types the command that is named (where that only shows the cause, or is for another machine, it does what
that leads to) and looks again.
"""
_MEANING = {
    Severity.ERROR: "Clients are not served as declared.",
    Severity.WARNING: "It serves; somebody should look today.",
    Severity.NOTE: "Worth knowing; the exit code stays 0.",
}


def text() -> str:
    """The whole page."""
    return "\n".join((_HEAD, *_sections()))


def _sections() -> Iterator[str]:
    for severity, meaning in _MEANING.items():
        yield f"## {severity.capitalize()}s\n\n{meaning}\n"
        for rule in RULES:
            if rule.kind.severity is severity:
                yield f"### {rule.kind.code}\n\n*{rule.kind.effect}*\n\n{ABOUT[rule.kind.code]}{_more(rule.kind)}\n"


def _more(kind: Kind) -> str:
    if kind.documented == in_reference(kind.code):
        return ""
    name = kind.documented.removeprefix("docs/")
    return f" More: [{name.partition('#')[0]}](../{name})."
