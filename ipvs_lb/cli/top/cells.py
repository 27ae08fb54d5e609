"""Text in cells of a terminal: cut or filled to a width, and safe whatever a server or an operator wrote."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size


class Style(enum.Enum):
    """How text stands out. What it means is in the text as well."""

    PLAIN = enum.auto()
    FAINT = enum.auto()
    BOLD = enum.auto()
    GOOD = enum.auto()
    CAUTION = enum.auto()
    BAD = enum.auto()
    ODD = enum.auto()
    SELECTED = enum.auto()
    ALARM = enum.auto()


class Span(NamedTuple):
    """Text in one style."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]

OF_WORD = {
    "up": Style.GOOD,
    "fine": Style.GOOD,
    "down": Style.BAD,
    "failing": Style.BAD,
    "foreign": Style.ODD,
    **dict.fromkeys(("draining", "drained", "idle", "unknown", "degraded"), Style.CAUTION),
}


def clean(text: str) -> str:
    """*text* without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)


def fitted(line: Iterable[Span], width: int) -> Line:
    """*line*, cut where *width* cells end."""
    left, kept = max(0, width), []
    for text, style in line:
        safe = clean(text)
        if cell_len(safe) > left:
            safe = set_cell_size(safe, left)
        left -= cell_len(safe)
        kept.append(Span(safe, style))
    return tuple(span for span in kept if span.text)


def column(text: str, width: int) -> str:
    """*text* in exactly *width* cells; `~` is where something was cut off."""
    safe = clean(text)
    if width > 0 and cell_len(safe) > width:
        return set_cell_size(safe, width - 1) + "~"
    return set_cell_size(safe, max(0, width))
