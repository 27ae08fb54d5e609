"""How many objects of each kind a project may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ipvs_lb.octavia.faults import quota_met
from ipvs_lb.octavia.objects import Kind

NO_LIMIT = -1


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one project; a kind that is not named, or is at -1, has none."""

    limits: Mapping[Kind, int] = field(default_factory=dict)

    def limit(self, kind: Kind) -> int:
        """How many of *kind* there may be, -1: any number."""
        return self.limits.get(kind, NO_LIMIT)

    def allow(self, kind: Kind, present: int, more: int) -> None:
        """Raise the fault "quota has been met" when *more* beside those *present* are too many."""
        if more > 0 and self.limit(kind) != NO_LIMIT and present + more > self.limit(kind):
            raise quota_met(kind)


def unlimited(_project: str) -> Quota:
    """Any number for every project."""
    return Quota()
