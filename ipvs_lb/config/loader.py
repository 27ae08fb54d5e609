"""Reading a configuration: everything that is wrong with it at once, or what it means."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ipvs_lb.config.assemble import assemble
from ipvs_lb.config.documents import Reader, Seen, ignore
from ipvs_lb.config.problems import Problems
from ipvs_lb.model.config import Config


def load(
    path: str | Path, *, environ: Mapping[str, str] | None = None, seen: Seen = ignore
) -> Config:
    """The configuration in the file at *path* and the files it includes.

    *environ* is what `${NAME}` refers to, the process's own environment if None. *seen* is told of every file and
    pattern before it is looked at. Raises ConfigError with every problem as `FILE:LINE:COLUMN: path: what`, sorted.
    """
    return _load(lambda reader: reader.read(Path(path)), environ, seen)


def loads(
    text: str,
    *,
    name: str = "<string>",
    environ: Mapping[str, str] | None = None,
    base: Path | None = None,
) -> Config:
    """As `load`, of a text that problems call *name*; without *base* it cannot include files."""
    return _load(lambda reader: reader.read_text(text, name, base), environ)


def problem_lines(text: str) -> dict[int, str]:
    """What is wrong with *text*, by line; of several problems in a line the first."""
    problems = Problems()
    reader = Reader({}, problems)
    reader.read_text(text, "", None)
    assemble(reader.documents, problems)
    ordered = sorted(problems.found, key=lambda problem: problem.place.order(), reverse=True)
    return {problem.place.line: f"{problem.path}: {problem.what}" for problem in ordered}


def _load(
    read: Callable[[Reader], None], environ: Mapping[str, str] | None, seen: Seen = ignore
) -> Config:
    problems = Problems()
    reader = Reader(os.environ if environ is None else environ, problems, seen)
    with collector_paused():
        return _read_and_assemble(read, reader, problems)


def _read_and_assemble(
    read: Callable[[Reader], None], reader: Reader, problems: Problems
) -> Config:
    read(reader)
    config = assemble(reader.documents, problems)
    problems.check()
    return config


@contextmanager
def collector_paused() -> Iterator[None]:
    """Loading makes hundreds of thousands of objects and no cycles; looking for some takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
