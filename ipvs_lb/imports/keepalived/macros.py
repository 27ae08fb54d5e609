"""What keepalived does with a line before it looks at the words: parameters, and the values of ~SEQ and ~LST."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_REFERENCE = re.compile(rf"\$\{{({NAME})(?:\s[^}}]*)?\}}|\$({NAME})(?=\s|$)")
_DEFINITION = re.compile(rf"\$({NAME})=(.*)", re.DOTALL)
_SEQUENCE = re.compile(r"~SEQ(x?)\(([^)]*)\)\s*(.*)", re.DOTALL)
_LIST = re.compile(r"~LST\(([^)]*)\)\s*(.*)", re.DOTALL)
_ITEM = re.compile(r"\{([^}]*)\}|([^,{}]+)")
MOST_VALUES = 100_000

Binding = Mapping[str, str]


class MacroError(ValueError):
    """A ~SEQ or ~LST that makes no sense."""


def comment_free(line: str) -> str:
    """*line* without its comment, which starts at `!` or `#` outside of quotes."""
    quote = ""
    escaped = False
    for index, char in enumerate(line):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "!#":
            return line[:index]
    return line


def definition(line: str) -> tuple[str, str] | None:
    """Name and value of `$NAME=VALUE`; None when *line* is no definition."""
    match = _DEFINITION.fullmatch(line)
    return (match[1], match[2].strip()) if match else None


def reference(line: str, names: Container[str]) -> tuple[str, str, str] | None:
    """The first reference to one of *names*: what stands before it, the name, what stands after it."""
    for match in _REFERENCE.finditer(line):
        name = match[1] or match[2]
        if name in names:
            return line[: match.start()], name, line[match.end() :]
    return None


def repeated(line: str) -> tuple[Iterator[Binding], str] | None:
    """The bindings of the ~SEQ or ~LST that *line* starts with, and the rest of the line. Raises MacroError."""
    if match := _SEQUENCE.fullmatch(line):
        return _sequence(match[2], hexadecimal=bool(match[1])), match[3]
    if match := _LIST.fullmatch(line):
        return _listed(match[1]), match[2]
    if line.startswith(("~SEQ", "~LST")):
        raise MacroError("not understood")
    return None


def _sequence(arguments: str, *, hexadecimal: bool) -> Iterator[Binding]:
    name, *written = (part.strip() for part in arguments.split(","))
    try:
        numbers = [int(part, 0) for part in written]
        start, step, end = _bounds(numbers)
    except ValueError:
        raise MacroError("expected (NAME, START, STEP, END)") from None
    values = range(start, end + (1 if step > 0 else -1), step)
    if len(values) > MOST_VALUES:
        raise MacroError(f"more than {MOST_VALUES} values")
    return iter([{name: f"{value:x}" if hexadecimal else str(value)} for value in values])


def _bounds(numbers: list[int]) -> tuple[int, int, int]:
    """Start, step and end; of one number it is the end, of two start and end."""
    *head, end = numbers
    direction = 1 if end > (head[0] if head else 0) else -1
    match head:
        case []:
            return direction, direction, end
        case [start]:
            return start, direction, end
        case [start, step] if step:
            return start, step, end
    raise ValueError(numbers)


def _listed(arguments: str) -> Iterator[Binding]:
    items = [
        [part.strip() for part in (match[1] if match[1] is not None else match[2]).split(",")]
        for match in _ITEM.finditer(arguments)
        if match[1] is not None or match[2].strip()
    ]
    if len(items) < 2 or any(len(item) != len(items[0]) for item in items):  # noqa: PLR2004  # a name and a value
        raise MacroError("expected (NAME, VALUE, ...) or ({NAME, NAME}, {VALUE, VALUE}, ...)")
    names, *values = items
    return iter([dict(zip(names, item, strict=True)) for item in values])
