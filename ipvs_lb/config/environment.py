"""References to environment variables in a configuration's values.

`${NAME}` is the variable's value, `${NAME:-default}` has a default for one that is unset or empty, `$$` is a
dollar sign. Any other dollar sign stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\{([^}]*)(\}?))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """*text* with every reference replaced; what comes in is not expanded again.

    Raises ValueError when a variable is not set or a reference is malformed.
    """

    def value(match: re.Match[str]) -> str:
        inner, closed = match.groups()
        return "$" if inner is None else _resolve(inner, closed=bool(closed), environ=environ)

    return _REFERENCE.sub(value, text)


def _resolve(inner: str, *, closed: bool, environ: Mapping[str, str]) -> str:
    name, separator, default = inner.partition(":-")
    if not closed or not _NAME.fullmatch(name):
        raise ValueError(
            'malformed environment reference, expected "${NAME}" or "${NAME:-default}" ("$$" for a dollar sign)'
        )
    found = environ.get(name)
    if separator:
        return found or default
    if found is None:
        raise ValueError(
            f'environment variable {name} is not set, set it or write "${{{name}:-default}}"'
        )
    return found
