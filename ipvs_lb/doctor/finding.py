"""What the doctor finds: how bad it is, what it does to people, and how it is mended."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ipvs_lb.doctor.facts import Facts

_SHOWN = 3  # names in a sentence


class Severity(enum.StrEnum):
    """`error`: clients are not served as declared. `warning`: they will not be one day. `note`: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing. `mend` is a command, or what to change in the configuration."""

    severity: Severity
    code: str
    what: str
    effect: str
    mend: str
    documented: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A sort of finding: `code` never changes its meaning, `effect` is what users notice."""

    code: str
    severity: Severity
    effect: str
    documented: str

    def found(self, what: str, mend: str) -> Finding:
        """A finding of this kind."""
        return Finding(
            severity=self.severity,
            code=self.code,
            what=what,
            effect=self.effect,
            mend=mend,
            documented=self.documented,
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind, and what finds it: pairs of what there is and how it is mended."""

    kind: Kind
    look: Callable[[Facts], Iterator[tuple[str, str]]]

    def findings(self, facts: Facts) -> Iterator[Finding]:
        """Everything of this kind in *facts*."""
        return (self.kind.found(what, mend) for what, mend in self.look(facts))


def in_reference(code: str) -> str:
    """Where the reference tells of a finding."""
    return f"docs/reference/doctor.md#{code.replace('.', '')}"


def _kind(severity: Severity, code: str, effect: str, documented: str | None) -> Kind:
    where = documented or in_reference(code)
    return Kind(code=code, severity=severity, effect=effect, documented=where)


def error(code: str, effect: str, documented: str | None = None) -> Kind:
    """A kind of error."""
    return _kind(Severity.ERROR, code, effect, documented)


def warning(code: str, effect: str, documented: str | None = None) -> Kind:
    """A kind of warning."""
    return _kind(Severity.WARNING, code, effect, documented)


def note(code: str, effect: str, documented: str | None = None) -> Kind:
    """A kind of note."""
    return _kind(Severity.NOTE, code, effect, documented)


def some(names: list[str]) -> str:
    """The first of *names*, and how many more there are."""
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])
