"""YAML text to plain values that know where they stand.

Rules kept here:
1. A value is text, a whole number, nothing, a mapping or a list. Words such as `off`, `no`, `22:22`, `1.10` or
   `007` stay the text they are: what they mean is decided by the key they belong to.
2. A key stands once in a mapping; keys are text. Tags, merge keys and second documents are refused.
3. An alias repeats what its anchor named; size, depth and number of values, aliases counted in full, are bounded.
4. Malformed text gives problems, never an exception and never unbounded work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from ipvs_lb.config.environment import expand
from ipvs_lb.config.problems import Path, Place, Problems, Step, quoted
from ipvs_lb.config.tree import Block, Items, Mark, Start, Tree, Unread, place_of

MAX_DEPTH = 32
MAX_VALUES = 2_000_000
_MAX_DIGITS = 18
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_READER: Callable[[str], Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Refused(Exception):  # noqa: N818  # a signal inside this module, not an error for callers
    """Reading on makes no sense."""


Trail = tuple[Any, Step] | None  # the path so far, as a linked list: cheap to extend


def _path(trail: Trail) -> Path:
    steps: list[Step] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return tuple(reversed(steps))


def parse(
    text: str,
    *,
    name: str,
    environ: Mapping[str, str],
    problems: Problems,
    allowance: int = MAX_VALUES,
) -> Tree:
    """The tree that *text* is, of at most *allowance* values; every problem of its YAML goes to *problems*."""
    text = text.removeprefix("\ufeff")
    tree = Tree(name, Block(Start()))
    if not _is_clean(text, name, problems):
        return tree
    try:
        composer = _Composer(_READER(text), name, environ, problems, allowance)
        root = composer.document()
    except _Refused:
        return tree
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(*_syntax_error(error, text, tree))
        return tree
    tree.values = composer.values
    if isinstance(root, Block):
        tree.root = root
    elif root is not None:
        problems.add(
            Place(name), "document", "expected a mapping with keys such as version, services"
        )
    return tree


def _is_clean(text: str, name: str, problems: Problems) -> bool:
    found = _FORBIDDEN.search(text)
    if found is None:
        return True
    line, column = position(text, found.start())
    what = f"character U+{ord(found.group()):04X} is not allowed, expected plain text"
    problems.add(Place(name, line, column), "syntax", what)
    return False


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, counted from 1, of the character at *offset*."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _syntax_error(
    error: yaml.YAMLError | RecursionError, text: str, tree: Tree
) -> tuple[Place, str, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None) or Start()
    what = getattr(error, "problem", None) or "cannot be read as YAML"
    context = getattr(error, "context", None)
    lines = text.splitlines() or [""]
    row = min(mark.line, len(lines) - 1)
    column = mark.column if row == mark.line else len(lines[row])
    if lines[row][column : column + 1] == "\t":
        what, context = "a tab cannot indent or begin a value, use spaces", None
    what = f"{what} ({context})" if context else what
    return Place(tree.name, row + 1, column + 1), "syntax", str(what)


@dataclass(slots=True)
class _Composer:
    """Builds values from the parser's events."""

    reader: Any
    name: str
    environ: Mapping[str, str]
    problems: Problems
    allowance: int
    values: int = 0
    depth: int = 0
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def document(self) -> Any:
        """The value of the only document; None when there is none."""
        self.reader.get_event()
        event = self.reader.get_event()
        if isinstance(event, StreamEndEvent):
            return None
        root = self._value(self.reader.get_event(), None)
        self.reader.get_event()
        event = self.reader.get_event()
        if event.__class__ is DocumentStartEvent:
            self._note(
                event.start_mark, None, "a second document begins here, expected one per file"
            )
        return root

    def _value(self, event: Any, trail: Trail) -> Any:
        if event.__class__ is ScalarEvent:
            return self._scalar(event, trail)
        if event.__class__ is AliasEvent:
            return self._alias(event, trail)
        self._enter(event, trail)
        before = self.values
        if event.__class__ is MappingStartEvent:
            value: Any = self._mapping(event, trail)
        else:
            value = self._sequence(event, trail)
        self.depth -= 1
        if event.anchor:
            self.anchors[event.anchor] = (value, self.values - before)
        return value

    def _mapping(self, start: Any, trail: Trail) -> Block:
        block = Block(start.start_mark)
        marks = block.marks
        get_event = self.reader.get_event
        while True:
            key_event = get_event()
            if key_event.__class__ is MappingEndEvent:
                return block
            key = self._key(key_event, trail)
            event = get_event()
            value = (
                self._scalar(event, (trail, key))
                if event.__class__ is ScalarEvent
                else self._value(event, (trail, key))
            )
            if key in marks:
                self._duplicate(key, marks[key][0], key_event.start_mark, (trail, key))
                continue
            block[key] = value
            marks[key] = (key_event.start_mark, event.start_mark)

    def _sequence(self, start: Any, trail: Trail) -> Items:
        items = Items(start.start_mark)
        get_event = self.reader.get_event
        while True:
            event = get_event()
            if event.__class__ is SequenceEndEvent:
                return items
            items.append(self._value(event, (trail, len(items))))
            items.marks.append(event.start_mark)

    def _key(self, event: Any, trail: Trail) -> str:
        if event.__class__ is not ScalarEvent:
            self._note(event.start_mark, trail, "a key must be plain text")
            raise _Refused
        key: str = event.value
        if key == "<<" and event.implicit[0]:
            what = "merge keys (<<) are not supported, use defaults, pools or an alias for the whole value"
            self._note(event.start_mark, (trail, key), what)
        return key

    def _scalar(self, event: Any, trail: Trail) -> str | int | None:
        self.values += 1
        if self.values > self.allowance:
            self._too_much(event, trail)
        text: str = event.value
        plain: bool = event.implicit[0]
        if event.tag is not None:
            self._tagged(event, trail)
        value = self._expanded(event, trail) if "$" in text else text
        if value is text and plain:
            value = plain_value(text)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        return value

    def _expanded(self, event: Any, trail: Trail) -> str | int | None:
        """References resolved; a value made of them is read as if it stood there unquoted."""
        text: str = event.value
        try:
            found = expand(text, self.environ)
        except ValueError as error:
            self._note(event.start_mark, trail, str(error))
            return Unread(text)
        if found == text:
            return text
        return found if found in _NULLS else plain_value(found)

    def _alias(self, event: Any, trail: Trail) -> Any:
        if event.anchor not in self.anchors:
            what = f"alias {quoted('*' + event.anchor)} has no anchor before it, or is inside of it"
            self._note(event.start_mark, trail, what)
            raise _Refused
        value, size = self.anchors[event.anchor]
        self.values += size
        if self.values > self.allowance:
            self._too_much(event, trail)
        return value

    def _enter(self, event: Any, trail: Trail) -> None:
        self.values += 1
        self.depth += 1
        if event.tag is not None:
            self._tagged(event, trail)
        if self.depth > MAX_DEPTH:
            self._note(event.start_mark, None, f"nested deeper than {MAX_DEPTH} levels")
            raise _Refused
        if self.values > self.allowance:
            self._too_much(event, trail)

    def _tagged(self, event: Any, trail: Trail) -> None:
        self._note(
            event.start_mark, trail, f"tag {quoted(event.tag)} is not supported, leave it out"
        )

    def _too_much(self, event: Any, trail: Trail) -> None:
        what = f"more than {MAX_VALUES} values, aliases counted in full"
        self._note(event.start_mark, None, what)
        raise _Refused

    def _duplicate(self, key: str, first: Mark, second: Mark, trail: Trail) -> None:
        what = f"duplicate key, it is already at {place_of(self.name, first)}"
        self._note(second, trail, what)

    def _note(self, mark: Mark | None, trail: Trail, what: str) -> None:
        self.problems.add(place_of(self.name, mark or Start()), _path(trail), what)


def plain_value(text: str) -> str | int | None:
    """What an unquoted scalar is: a whole number written the usual way, nothing, or text."""
    if text in _NULLS:
        return None
    digits = text[1:] if text[0] == "-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS:
        return text
    return int(text) if digits[0] != "0" or text == "0" else text
