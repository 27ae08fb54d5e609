"""Where the text of included files comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Text:
    """A file: its name as messages show it, its folder, and what it says."""

    name: str
    folder: str
    text: str


class Source(Protocol):
    """The files that a configuration can include."""

    def find(self, pattern: str, folder: str) -> Sequence[Text]:
        """The files that *pattern* names, seen from *folder*, sorted; none when there are none."""
        ...
