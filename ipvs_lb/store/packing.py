"""Desired states as few bytes, made service by service: all at once would keep every other thread waiting."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ipvs_lb.model.desired import Desired
from ipvs_lb.serial import desired_to_json, virtual_service_to_json
from ipvs_lb.serial.table import table_body


def pack(desired: Desired) -> bytes:
    """The JSON of `desired_to_json`, compressed."""
    table = replace(desired.table, services={})
    services = (virtual_service_to_json(*one) for one in desired.table.services.items())
    value = {
        **desired_to_json(replace(desired, table=table)),
        "table": {**table_body(table), "services": services},
    }
    packer = zlib.compressobj(level=1)
    packed = [packer.compress(part.encode()) for part in _parts(value)]
    return b"".join([*packed, packer.flush()])


def _parts(value: object) -> Iterator[str]:
    """The JSON of *value*, whose arrays may be iterators, in their items."""
    if isinstance(value, Mapping):
        for number, (key, one) in enumerate(value.items()):
            yield f"{', ' if number else '{'}{json.dumps(key)}: "
            yield from _parts(one)
        yield "}"
    elif isinstance(value, Iterator):
        yield "["
        for number, one in enumerate(value):
            yield f"{', ' if number else ''}{json.dumps(one)}"
        yield "]"
    else:
        yield json.dumps(value)
