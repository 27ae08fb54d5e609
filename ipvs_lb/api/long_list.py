"""JSON objects that are mostly one long list: the list is made while it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ipvs_lb.serial import JSON


@dataclass(frozen=True, slots=True)
class LongList:
    """The object *head* with *items* as its last member *name*.

    An item that is None was looked at and is not shown: whoever sends this may do something else in between.
    """

    head: Mapping[str, JSON]
    name: str
    items: Iterable[JSON | LongList | None]
