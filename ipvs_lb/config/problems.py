"""What is wrong with a configuration, where, and how the list of it is shown."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ipvs_lb.errors import ConfigError

MAX_SHOWN = 100
_MAX_VALUE = 60

Step = str | int
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{one_line(self.file)}:{self.line}:{self.column}"

    def order(self) -> tuple[str, int, int]:
        """A sort key."""
        return (self.file, self.line, self.column)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `what` is turned into text only when it is shown."""

    place: Place
    path: str
    what: object

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.what}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A word that is none of the `known` ones."""

    kind: str
    word: str
    known: Collection[str]

    def __str__(self) -> str:
        close = difflib.get_close_matches(self.word[:_MAX_VALUE], self.known, n=1)
        if close:
            return f'{self.kind}, did you mean "{close[0]}"?'
        return f"{self.kind}, expected {alternatives(self.known)}"


@dataclass(slots=True)
class Problems:
    """The problems found so far."""

    found: list[Problem] = field(default_factory=list)

    def add(self, place: Place, path: Path | str, what: object) -> None:
        """Note one; *path* is what the operator would call the thing."""
        text = path if isinstance(path, str) else path_text(path)
        self.found.append(Problem(place, text, what))

    def check(self) -> None:
        """Raise ConfigError with what was found, if anything was."""
        if self.found:
            raise ConfigError(tuple(listed(self.found)))


def listed(found: Iterable[Problem]) -> Iterable[str]:
    """One line per problem in the order of their places; the last says how many are left out."""
    ordered = sorted(found, key=lambda problem: (*problem.place.order(), problem.path))
    yield from (str(problem) for problem in ordered[:MAX_SHOWN])
    if len(ordered) > MAX_SHOWN:
        left = ordered[MAX_SHOWN]
        yield f"{left.place}: {left.path}: and {len(ordered) - MAX_SHOWN} more problems from here on"


def path_text(path: Path) -> str:
    """`services.0.servers.1.weight`; a strange key stands in quotes."""
    return ".".join(map(_step_text, path)) or "document"


def _step_text(step: Step) -> str:
    text = str(step)
    plain = text.replace("_", "").replace("-", "").isalnum() and text.isascii()
    return text if plain and len(text) <= _MAX_VALUE else quoted(text)


def one_line(text: str) -> str:
    """*text* without anything that could break a line."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


def quoted(text: str, limit: int = _MAX_VALUE) -> str:
    """*text* in quotes, escaped and shortened."""
    short = text if len(text) <= limit else text[:limit] + "..."
    return json.dumps(short, ensure_ascii=not short.isprintable())


def shown(value: object) -> str:
    """*value* as a message names it."""
    match value:
        case None:
            return "nothing"
        case str():
            return quoted(value)
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return one_line(str(value))


def alternatives(words: Collection[str]) -> str:
    """`a, b or c`."""
    *head, last = words
    return f"{', '.join(head)} or {last}" if head else last


def number_of(count: int, noun: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def joined(words: Sequence[str]) -> str:
    """Words of a sentence, or a dash when there are none."""
    return ", ".join(words) or "-"
