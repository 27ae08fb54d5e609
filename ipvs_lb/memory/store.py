"""A store in memory that keeps the law of `ipvs_lb.ports.Store`."""

from __future__ import annotations

from collections.abc import Mapping

from ipvs_lb.errors import UsageError
from ipvs_lb.model.desired import Desired, Generation, GenerationSummary, Owned, owned_by


class MemoryStore:
    """Keeps everything as long as the process lives, also what `ipvs_lb.ports.Records` are."""

    def __init__(self) -> None:
        self.warnings: tuple[str, ...] = ()
        self._owned = Owned()
        self._generations: list[Generation] = []
        self.texts: dict[str, str] = {}

    def owned(self) -> Owned:
        """What is ours."""
        return self._owned

    def claim(self, owned: Owned) -> None:
        """Make exactly *owned* ours."""
        self._owned = owned

    def commit(self, desired: Desired, *, origin: str, now: float) -> GenerationSummary:
        """Record *desired* as the newest generation."""
        summary = GenerationSummary(
            number=len(self._generations) + 1,
            created=now,
            origin=origin,
            services=len(desired.table.services),
            servers=sum(len(value.servers) for value in desired.table.services.values()),
        )
        self._generations.append(Generation(summary=summary, desired=desired))
        self._owned = owned_by(desired)
        return summary

    def generations(self) -> tuple[GenerationSummary, ...]:
        """Those that are kept, oldest first."""
        return tuple(generation.summary for generation in self._generations)

    def generation(self, number: int) -> Generation:
        """One of them. Raises UsageError when it is not kept."""
        if not 0 < number <= len(self._generations):
            raise UsageError(f"there is no generation {number}")
        return self._generations[number - 1]

    def records(self) -> dict[str, str]:
        """All of them."""
        return dict(self.texts)

    def record(self, changes: Mapping[str, str | None]) -> None:
        """Write texts, forget those that are None."""
        for name, text in changes.items():
            if text is None:
                self.texts.pop(name, None)
            else:
                self.texts[name] = text
