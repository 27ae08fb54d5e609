"""What becomes of each setting that has no exact counterpart here: where it stands, what happens to it, what to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from ipvs_lb.config.problems import one_line


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Effect(enum.StrEnum):
    """What becomes of a setting: it is not carried over, carried over as something else, or nothing is lost with it."""

    LEFT_OUT = "left out"
    CHANGED = "changed"
    UNNEEDED = "unneeded"


@dataclass(frozen=True, slots=True)
class Finding:
    """One setting, why it is not simply carried over, and what to do about it (empty: nothing)."""

    mark: Mark
    effect: Effect
    what: str
    why: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.mark}: {self.effect}: {self.told()}"

    def told(self) -> str:
        """All but the place, fit for a terminal."""
        return one_line(f"{self.what}: {self.why}" + (f"; {self.todo}" if self.todo else ""))


@dataclass(slots=True)
class Findings:
    """The findings so far."""

    found: list[Finding] = field(default_factory=list)

    def left_out(self, mark: Mark, what: str, why: str, todo: str = "") -> None:
        """Note what is not carried over."""
        self.found.append(Finding(mark, Effect.LEFT_OUT, what, why, todo))

    def changed(self, mark: Mark, what: str, why: str, todo: str = "") -> None:
        """Note what is carried over as something else."""
        self.found.append(Finding(mark, Effect.CHANGED, what, why, todo))

    def unneeded(self, mark: Mark, what: str, why: str) -> None:
        """Note what is not carried over because nothing is lost with it."""
        self.found.append(Finding(mark, Effect.UNNEEDED, what, why))

    def remarks(self) -> tuple[str, ...]:
        """Lines for the file: where something is left out or changed."""
        said = (one for one in self.found if one.effect is not Effect.UNNEEDED)
        return tuple(dict.fromkeys(f"{one.mark}: {one.effect}: {one.told()}" for one in said))
