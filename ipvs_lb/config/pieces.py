"""The text of a configuration file cut up by its lines, so that what has not changed need not be read again.

Rules kept here:
1. A file is cut at the keys in its first column; the sections `services` and `pools` once more, at their entries.
   The pieces are all of the text.
2. A piece that is sound YAML when it is read alone, and is the one entry it looks like, is that same entry in the
   file: where a piece begins, no scanner is inside anything. Quotes and brackets that are open there would be open at
   the end of the piece before, which could then not be read alone; plain and block scalars end at text that is
   indented no more than the key or dash they belong to. An alias cannot be read without its anchor.
3. What is not written in this way is refused here; that says nothing about its being right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")

_KEY = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*):(?: |$)")
_DASH = re.compile(r"-(?: |$)")
_BLANK = re.compile(r" *(?:#.*)?")
_GOES_ON = frozenset({"", " ", "#"})
"""What lines begin with that go with the key above."""


class UncutError(Exception):
    """The file has to be read as a whole."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines that may be read alone. The first one stands in line `line` of the file, counted from 1.

    An entry that is not the first one begins with the key of its section, as if that stood in the line before.
    """

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """A file: `services` by their places, pools by their names, and every other section."""

    services: tuple[Piece, ...]
    pools: dict[str, Piece]
    others: dict[str, Piece]


@dataclass(frozen=True, slots=True)
class _Section:
    """The lines from `start` to `end`, counted from 0; the one with the key may come after comments."""

    start: int
    key: int
    end: int


def cut(text: str) -> Pieces:
    """*text* in pieces. Raises UncutError."""
    if "\r" in text:  # ends a line in YAML
        raise UncutError
    lines = text.removeprefix("\ufeff").split("\n")
    sections = _once(_sections(lines))
    services = sections.pop("services", None)
    pools = sections.pop("pools", None)
    return Pieces(
        services=() if services is None else tuple(_services(lines, services)),
        pools={} if pools is None else _once(_pools(lines, pools)),
        others={
            name: Piece(_text(lines, one.start, one.end), one.start + 1)
            for name, one in sections.items()
        },
    )


def _once(found: Iterable[tuple[str, T]]) -> dict[str, T]:
    """By name. Raises UncutError when one is there twice."""
    unique: dict[str, T] = {}
    for name, one in found:
        if unique.setdefault(name, one) is not one:
            raise UncutError
    return unique


def _sections(lines: Sequence[str]) -> Iterator[tuple[str, _Section]]:
    keys = list(_keys(lines))
    if any(map(_is_written, lines[: keys[0][1]] if keys else lines)):
        raise UncutError
    start = 0
    for (name, key), (_, end) in pairwise([*keys, ("", len(lines))]):
        yield name, _Section(start, key, end)
        start = end


def _keys(lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The keys in the first column, each with its line."""
    name = ""
    for number, line in enumerate(lines):
        if line[:1] in _GOES_ON:
            continue
        key = _KEY.match(line)
        if key is not None:
            name = key[1]
            yield name, number
        elif name != "services" or not _DASH.match(line):
            raise UncutError


def _is_written(line: str) -> bool:
    return _BLANK.fullmatch(line) is None


def _services(lines: Sequence[str], section: _Section) -> Iterator[Piece]:
    return _entries("services", lines, section, _begins(lines, section, _DASH))


def _pools(lines: Sequence[str], section: _Section) -> Iterator[tuple[str, Piece]]:
    begins = _begins(lines, section, _KEY)
    names = [lines[number].lstrip(" ").partition(":")[0] for number in begins]
    return zip(names, _entries("pools", lines, section, begins), strict=True)


def _begins(lines: Sequence[str], section: _Section, begin: re.Pattern[str]) -> list[int]:
    """The first line of every entry of a section; all of them are indented like the first."""
    after = range(section.key + 1, section.end)
    first = next((number for number in after if _is_written(lines[number])), None)
    if first is None or _is_written(lines[section.key].partition(":")[2]):
        raise UncutError
    indent = len(lines[first]) - len(lines[first].lstrip(" "))
    margin, match = " " * indent, begin.match
    found = [
        number
        for number in range(first, section.end)
        if lines[number].startswith(margin) and match(lines[number], indent)
    ]
    if found[:1] != [first]:
        raise UncutError
    return found


def _entries(
    name: str, lines: Sequence[str], section: _Section, begins: Sequence[int]
) -> Iterator[Piece]:
    ends = [*begins[1:], section.end]
    yield Piece(_text(lines, section.start, ends[0]), section.start + 1)
    for start, end in pairwise(ends):
        yield Piece(f"{name}:\n{_text(lines, start, end)}", start)


def _text(lines: Sequence[str], start: int, end: int) -> str:
    """Those lines as they are in the file, the last of which may not have an end."""
    return "\n".join(lines[start:end]) + ("\n" if end < len(lines) else "")
