"""The files on this machine that an import reads."""

from __future__ import annotations

import os
import re
import sys
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from ipvs_lb.errors import LBError
from ipvs_lb.imports.sources import Text

MOST_BYTES = 32 * 2**20
_BRACES = re.compile(r"(.*?)\{([^{}]*)\}(.*)", re.DOTALL)


def read_file(path: Path) -> Text:
    """The file at *path*. Raises LBError."""
    try:
        with path.open("rb") as file:
            return _text(file, shown(path), path.absolute().parent)
    except OSError as error:
        raise LBError(f"cannot read {path}: {error.strerror}") from error


def read_standard_input() -> Text:
    """What standard input says. Raises LBError."""
    return _text(sys.stdin.buffer, "-", Path.cwd())


def _text(file: BinaryIO, name: str, folder: Path) -> Text:
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise LBError(f"{name} has more than {MOST_BYTES} bytes")
    try:
        return Text(name, os.fspath(folder), content.decode())
    except UnicodeDecodeError as error:
        hint = f"iconv -f LATIN1 -t UTF-8 {name}"
        raise LBError(f"{name}: byte {error.start} is not UTF-8", hint=hint) from error


def shown(path: Path) -> str:
    """*path* as messages name it: seen from here where it lies below."""
    below = path.is_absolute() and path.is_relative_to(Path.cwd())
    return os.fspath(path.relative_to(Path.cwd()) if below else path)


class Files:
    """What includes find on this machine."""

    def find(self, pattern: str, folder: str) -> list[Text]:
        """The files that *pattern* names; those that cannot be read are not among them."""
        found = []
        for one in alternatives(pattern):
            root, relative = ("/", one.lstrip("/")) if one.startswith("/") else (folder, one)
            for path in sorted(Path(root).glob(relative)):
                try:
                    found.append(read_file(path))
                except LBError:
                    continue
        return found


def alternatives(pattern: str) -> list[str]:
    """The patterns that one with braces stands for: `{a,b}.conf` is `a.conf` and `b.conf`."""
    match = _BRACES.fullmatch(pattern)
    if match is None:
        return [pattern]
    before, inner, after = match.groups()
    parts = (alternatives(f"{before}{part}{after}") for part in inner.split(","))
    return list(dict.fromkeys(chain.from_iterable(parts)))
