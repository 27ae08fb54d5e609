"""One configuration loaded again and again: what has not changed is not read again, and is the identical object.

Rules kept here:
1. The result is that of `ipvs_lb.config.load`. What cannot be cut into pieces, and whatever has a problem, is loaded
   by that: no problem is told from here.
2. A service depends on the text of its piece, of the pool it names, and of everything in the first file besides
   services and pools, and on the environment. If none of that has changed, what it came to the last time holds; the
   line it stands in may be another.
3. What concerns several services is decided anew every time.
4. Only digests are kept of texts, and nothing of where things stand in them but the line of a service.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from ipvs_lb.config.assemble import entries, ground, pools, put_together
from ipvs_lb.config.compose import MAX_VALUES, parse
from ipvs_lb.config.documents import Document, Reader, Seen, ignore
from ipvs_lb.config.loader import collector_paused, load
from ipvs_lb.config.pieces import Piece, Pieces, UncutError, cut
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.servers import Defaults
from ipvs_lb.config.services import Context, Pool, WrittenService, service
from ipvs_lb.config.tree import Block, Spot, Start, Tree
from ipvs_lb.model.config import Config

_NOWHERE = Tree("", Block(Start()))
_Digest = bytes
_Name = tuple[str, _Digest]  # of a file, and of a piece of it


@dataclass(frozen=True, slots=True)
class _Known:
    """A service whose piece began at `line`, and itself `below` lines further down; the pools it depends on."""

    written: WrittenService
    line: int
    below: int
    values: int
    pools: Mapping[str, _Digest]

    def at(self, file: str, line: int) -> _Known:
        """The same where the piece begins at *line*."""
        if line == self.line:
            return self
        declared = replace(self.written.declared, origin=f"{file}:{line + self.below}")
        return replace(self, written=replace(self.written, declared=declared), line=line)


@dataclass(slots=True)
class _Memory:
    """What a load came to, and what all of it depends on; of a sound pool the number of its values."""

    ground: object = None
    services: dict[_Name, _Known] = field(default_factory=dict)
    pools: dict[_Name, int] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """How many there are in all pieces."""
        return sum(self.pools.values()) + sum(one.values for one in self.services.values())


class Loader:
    """Loads the configuration in the file at *path*, each time as `ipvs_lb.config.load` would."""

    def __init__(self, path: str | Path, *, environ: Mapping[str, str] | None = None) -> None:
        self._path = Path(path)
        self._environ = os.environ if environ is None else environ
        self._memory = _Memory()

    def load(self, seen: Seen = ignore) -> Config:
        """The configuration as it is now. Raises ConfigError; the next load then goes by the last that succeeded."""
        with collector_paused():
            try:
                config, memory = _load(self._path, dict(self._environ), seen, self._memory)
            except UncutError:
                config, memory = load(self._path, environ=self._environ, seen=seen), _Memory()
        self._memory = memory
        return config


def _load(
    path: Path, environ: Mapping[str, str], seen: Seen, before: _Memory
) -> tuple[Config, _Memory]:
    """The configuration by pieces, and what to remember of it. Raises UncutError."""
    source = _Source(environ, seen)
    documents = source.read(path)
    memory = _Memory((environ, source.ground()))
    if before.ground != memory.ground:
        before = _Memory()
    context = ground(documents, source.problems)
    found = _Pools(source, context.nested, before, memory)
    written = _written(source, replace(context, pools=found), found, before, memory)
    config = put_together(documents, written, source.problems)
    source.check()
    if source.values + memory.values > MAX_VALUES:
        raise UncutError
    return config, memory


class _Source:
    """The files in pieces, each of which is read when it is asked for. Every problem is an UncutError."""

    def __init__(self, environ: Mapping[str, str], seen: Seen) -> None:
        self.problems = Problems()
        self.files: dict[str, Pieces] = {}
        self.values = 0
        self._environ = environ
        self._seen = seen

    def read(self, path: Path) -> list[Document]:
        """All files, without their services and pools."""
        reader = Reader(self._environ, self.problems, self._seen, self._header)
        reader.read(path)
        self.check()
        return reader.documents

    def _header(self, text: str, *, name: str, **_: object) -> Tree:
        pieces = self.files[name] = cut(text)
        tree = Tree(name, Block(Start()))
        for key, piece in pieces.others.items():
            part = self.part(name, "\n" * (piece.line - 1) + piece.text, key)
            tree.root[key], tree.root.marks[key] = part.root[key], part.root.marks[key]
            self.values += part.values
        return tree

    def part(self, name: str, text: str, key: str) -> Tree:
        """What *text* says when it is read alone, which is *key* and no more."""
        tree = parse(text, name=name, environ=self._environ, problems=self.problems)
        self.check()
        if list(tree.root) != [key]:
            raise UncutError
        return tree

    def ground(self) -> _Digest:
        """A digest of what is in the first file besides services and pools."""
        first = next(iter(self.files.values())).others
        return _digest("".join(piece.text for piece in first.values()))

    def check(self) -> None:
        if self.problems.found:
            raise UncutError


class _Pools(Mapping[str, Pool]):
    """The pools by name, read when they are asked for; those that have changed have been. `asked`: which were."""

    def __init__(
        self, source: _Source, defaults: Defaults, before: _Memory, memory: _Memory
    ) -> None:
        self.asked: dict[str, _Digest] = {}
        self.digests: dict[str, _Digest] = {}
        self._source = source
        self._defaults = defaults
        self._pieces: dict[str, tuple[str, Piece]] = {}
        self._found: dict[str, Pool] = {}
        for file, name, piece in self._all():
            if name in self._pieces:
                raise UncutError
            self._pieces[name] = (file, piece)
            digest = self.digests[name] = _digest(piece.text)
            known = before.pools.get((file, digest))
            memory.pools[file, digest] = self._read(name) if known is None else known

    def _all(self) -> Iterator[tuple[str, str, Piece]]:
        for file, pieces in self._source.files.items():
            for name, piece in pieces.pools.items():
                yield file, name, piece

    def _read(self, name: str) -> int:
        file, piece = self._pieces[name]
        tree = self._source.part(file, piece.text, "pools")
        self._found.update(pools([Document(tree, None)], self._defaults, self._source.problems))
        self._source.check()
        if list(tree.root["pools"]) != [name]:
            raise UncutError
        return tree.values

    def __getitem__(self, name: str) -> Pool:
        self.asked[name] = self.digests[name]
        if name not in self._found:
            self._read(name)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._pieces

    def __iter__(self) -> Iterator[str]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)


def _written(
    source: _Source, context: Context, found: _Pools, before: _Memory, memory: _Memory
) -> Iterator[WrittenService]:
    """Every service, those from before where nothing has changed that they depend on."""
    for file, pieces in source.files.items():
        for piece in pieces.services:
            name = (file, _digest(piece.text))
            if name in memory.services:
                raise UncutError
            known = before.services.get(name)
            if known is None or not known.pools.items() <= found.digests.items():
                found.asked = {}
                known = _read_service(source, file, piece, context, found)
            memory.services[name] = known = known.at(file, piece.line)
            yield known.written


def _read_service(
    source: _Source, file: str, piece: Piece, context: Context, found: _Pools
) -> _Known:
    tree = source.part(file, piece.text, "services")
    document = Document(tree, None)
    read = [
        (raw.mark.line, service(raw, spot, context, source.problems))
        for spot, raw in entries([document], source.problems)
    ]
    source.check()
    if len(read) != 1:
        raise UncutError
    ((below, written),) = read
    if written is None:
        raise UncutError
    return _Known(_placeless(written), 0, below, tree.values, found.asked)


def _placeless(written: WrittenService) -> WrittenService:
    """*written* without the places, which would keep the whole tree."""
    vips = tuple(replace(one, spot=Spot(_NOWHERE)) for one in written.vips)
    return replace(written, vips=vips, spot=Spot(_NOWHERE))


def _digest(text: str) -> _Digest:
    return blake2b(text.encode(), digest_size=16).digest()
