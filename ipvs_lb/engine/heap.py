"""Keeps the garbage collector away from what stays: with 40,000 servers one look at everything takes half a second.

Values of the configuration and decisions on them are in no cycles, so they go without the collector's help.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_QUICK = 50_000
"""Objects that are looked through in some 10 ms."""


@contextmanager
def at_rest() -> Iterator[None]:
    """Nothing is collected inside; what is there at the end is permanent, unless that is an exception."""
    settle()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()


def settle(*, quick: int = _QUICK) -> None:
    """Take everything that is there now for permanent, after what is no longer in use has gone.

    Where there are *quick* objects or more to look through, nothing goes: that is so at the start and after much has
    changed at once.
    """
    gc.collect(1)
    if len(gc.get_objects(generation=2)) < quick:
        gc.collect()
    gc.freeze()
