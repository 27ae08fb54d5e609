"""The page docs/reference/doctor.md, made from the rules."""

from __future__ import annotations

from collections.abc import Iterator

from ipvs_lb.doctor import RULES, Severity

_HEAD = """\
# What the doctor finds

Made from the rules; `UPDATE_GOLDEN=1 pytest tests/unit/test_doctor.py` writes it anew. Codes stay what they are.
Every finding also says what there is on this gateway, and how it is mended.
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
        yield f"## {severity.capitalize()}s\n\n{meaning}\n\n| code | what users notice | more |\n|---|---|---|"
        for rule in RULES:
            if rule.kind.severity is severity:
                yield f"| `{rule.kind.code}` | {rule.kind.effect} | {_more(rule.kind.documented)} |"
        yield ""


def _more(page: str) -> str:
    name = page.removeprefix("docs/")
    return "" if name == "reference/doctor.md" else f"[{name}](../{name})"
