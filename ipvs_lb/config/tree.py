"""What a file says, as plain values that know where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ipvs_lb.config.problems import Path, Place, Problems, Step


class Mark(Protocol):
    """Where PyYAML says something starts, counted from 0."""

    @property
    def line(self) -> int:
        """The line."""
        ...

    @property
    def column(self) -> int:
        """The character in it."""
        ...


class Block(dict[str, Any]):
    """A mapping, with the marks of its keys and values."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: dict[str, tuple[Mark, Mark]] = {}


class Items(list[Any]):
    """A list, with the marks of its items."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []


@dataclass(slots=True)
class Tree:
    """What one file says; `root` is empty when it says nothing usable."""

    name: str
    root: Block
    values: int = 0

    def find(self, path: Path, *, at_key: bool = False) -> tuple[Path, Place]:
        """Where *path* leads, as far as it exists, and the place of that: of its key if *at_key*."""
        node: object = self.root
        mark: Mark = self.root.mark
        walked: list[Step] = []
        for step in path:
            if isinstance(node, Block) and isinstance(step, str) and step in node:
                key_mark, value_mark = node.marks[step]
                node = node[step]
                mark = key_mark if at_key and len(walked) + 1 == len(path) else value_mark
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node):
                mark, node = node.marks[step], node[step]
            else:
                continue
            walked.append(step)
        return tuple(walked), place_of(self.name, mark)


@dataclass(frozen=True, slots=True)
class Spot:
    """A value of a tree, told by its path."""

    tree: Tree
    path: Path = ()

    def at(self, *steps: Step) -> Spot:
        """A value further down."""
        return Spot(self.tree, (*self.path, *steps))

    def place(self, *, at_key: bool = False) -> Place:
        """Where it stands, or where what holds it does if it is not written down."""
        return self.tree.find(self.path, at_key=at_key)[1]

    def note(self, problems: Problems, what: object, *, at_key: bool = False) -> None:
        """Add a problem with this value."""
        problems.add(self.place(at_key=at_key), self.path, what)


def place_of(name: str, mark: Mark) -> Place:
    """A mark as a place."""
    return Place(name, mark.line + 1, mark.column + 1)


class Unread(str):
    """Text whose references could not be resolved: that is a problem already, its meaning is none."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Start:
    """The mark of a file's start."""

    line: int = 0
    column: int = 0
