"""The files a configuration is made of: reading them, and following `include`.

Rules kept here:
1. Only regular files are read, of bounded size, and only so many; nothing here can block or loop.
2. What is wrong with an included file's place in the world is a problem of the line that includes it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ipvs_lb.config.compose import MAX_VALUES, parse, position
from ipvs_lb.config.forms import IncludedForm, RootForm
from ipvs_lb.config.problems import Place, Problems, one_line, quoted
from ipvs_lb.config.tree import Spot, Tree
from ipvs_lb.config.validation import fill

Seen = Callable[[Path], None]
"""Told of a file that is about to be read or a pattern about to be matched, whether or not that will work."""

Parse = Callable[..., Tree]
"""Makes a tree of a text, as `ipvs_lb.config.compose.parse` does."""

MAX_BYTES = 32 * 1024 * 1024
MAX_FILES = 1000
_WILDCARDS = frozenset("*?[")
_READ_APART = frozenset({"services", "pools", "defaults"})


def ignore(_: Path) -> None:
    """Nobody wants to know what is read."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file and what it says besides defaults, pools and services."""

    tree: Tree
    header: IncludedForm | None

    @property
    def spot(self) -> Spot:
        """The file as a whole."""
        return Spot(self.tree)


@dataclass(slots=True)
class Reader:
    """Reads the files of one configuration."""

    environ: Mapping[str, str]
    problems: Problems
    seen: Seen = ignore
    parse: Parse = parse
    documents: list[Document] = field(default_factory=list)
    _files: dict[str, Spot | None] = field(default_factory=dict)
    _stack: list[str] = field(default_factory=list)
    _bytes: int = MAX_BYTES
    _values: int = MAX_VALUES

    def read(self, path: Path) -> None:
        """Read the file at *path* and what it includes."""
        name = os.fspath(path)
        try:
            content = self._content(path)
        except ValueError as error:
            self.problems.add(Place(name), "file", str(error))
            return
        self._files[os.path.realpath(path)] = None
        self._enter(content, name, path, RootForm)

    def read_text(self, text: str, name: str, base: Path | None) -> None:
        """Read *text*; what it includes is relative to *base*."""
        self._add(text, name, base, RootForm)

    def _enter(self, content: bytes, name: str, path: Path, form: type[IncludedForm]) -> None:
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            before = content[: error.start].decode()
            line, column = position(before, len(before))
            what = f"byte 0x{content[error.start]:02x} is not UTF-8"
            self.problems.add(Place(name, line, column), "syntax", what)
            return
        self._stack.append(os.path.realpath(path))
        self._add(text, name, path.parent, form)
        self._stack.pop()

    def _add(self, text: str, name: str, base: Path | None, form: type[IncludedForm]) -> None:
        tree = self.parse(
            text,
            name=name,
            environ=self.environ,
            problems=self.problems,
            allowance=self._values,
        )
        self._values -= tree.values
        spot = Spot(tree)
        if "defaults" in tree.root and form is IncludedForm:
            spot.at("defaults").note(
                self.problems, "defaults belong to the first file", at_key=True
            )
        if not tree.root and self.problems.found:
            return
        header = {key: value for key, value in tree.root.items() if key not in _READ_APART}
        filled = fill(form, header, spot, self.problems)
        self.documents.append(Document(tree, filled.form if filled else None))
        for index, target in enumerate(filled.form.include if filled else ()):
            written = isinstance(tree.root["include"], list)
            place = spot.at("include", index) if written else spot.at("include")
            self._include(target, base, place)

    def _include(self, target: str, base: Path | None, spot: Spot) -> None:
        try:
            for path in self._matching(target, base):
                self._include_file(path, spot, by_pattern=path.name != Path(target).name)
        except ValueError as error:
            spot.note(self.problems, str(error))

    def _include_file(self, path: Path, spot: Spot, *, by_pattern: bool) -> None:
        real = os.path.realpath(path)
        if by_pattern and self._stack[-1:] == [real]:
            return
        if real in self._stack:
            chain = " -> ".join(one_line(name) for name in (*self._stack, real))
            raise ValueError(f"a file cannot include itself: {chain}")
        if real in self._files:
            first = self._files[real]
            raise ValueError(f"{_quoted(path)} is already included at {_place(first)}")
        if len(self._files) >= MAX_FILES:
            raise ValueError(f"more than {MAX_FILES} files")
        content = self._content(path)
        self._files[real] = spot
        self._enter(content, os.fspath(path), path, IncludedForm)

    def _matching(self, target: str, base: Path | None) -> Iterator[Path]:
        """The files that an `include` names, sorted."""
        if base is None:
            raise ValueError("a text that is not a file cannot include files")
        path = base / target
        if _WILDCARDS & set(str(Path(target).parent)):
            raise ValueError(f"{quoted(target)}: only the last part of a path may be a pattern")
        if is_pattern(path):
            self.seen(path)
            yield from matching(path)
        else:
            yield path

    def _content(self, path: Path) -> bytes:
        self.seen(path)
        content = content_of(path, self._bytes)
        self._bytes -= len(content)
        return content


def _quoted(path: Path) -> str:
    return quoted(os.fspath(path), limit=4096)


def _place(spot: Spot | None) -> str:
    return str(spot.place()) if spot else "the start"


def content_of(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most *limit* bytes. Raises ValueError saying why not."""
    try:
        with open(path, "rb", opener=_open) as file:  # Path.open has no opener
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{_quoted(path)} is not a regular file")
            if status.st_size > limit:
                raise ValueError(_too_large(path, status.st_size))
            content = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"cannot read {_quoted(path)}: {error.strerror}") from None
    if len(content) > limit:
        raise ValueError(_too_large(path, len(content)))
    return content


def _open(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # a pipe without a writer does not block


def _too_large(path: Path, size: int) -> str:
    return f"{_quoted(path)} has {size} bytes, expected at most {MAX_BYTES} in all files together"


def is_pattern(path: Path) -> bool:
    """Whether *path* stands for any number of files."""
    return not _WILDCARDS.isdisjoint(path.name)


def matching(pattern: Path) -> Iterator[Path]:
    """The files that *pattern* stands for, sorted. Raises ValueError when its folder cannot be listed."""
    try:
        names = sorted(found.name for found in pattern.parent.iterdir())
    except OSError as error:
        raise ValueError(f"cannot list {_quoted(pattern.parent)}: {error.strerror}") from None
    hidden = pattern.name.startswith(".")
    for name in names:
        if fnmatchcase(name, pattern.name) and (hidden or not name.startswith(".")):
            yield pattern.with_name(name)
