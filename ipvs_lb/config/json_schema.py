"""The JSON Schema of the configuration, for editors."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from ipvs_lb.config.forms import RootForm
from ipvs_lb.config.values import Seconds, duration_text

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DROPPED = frozenset({"title", "discriminator"})


class _Generate(GenerateJsonSchema):
    """Defaults as the operator would write them."""

    def encode_default(self, dft: Any) -> Any:
        """A default as the configuration has it."""
        return written(dft)


def written(default: object) -> Any:
    """A form's default as the configuration writes it; None for one that is only explained."""
    match default:
        case bool():
            return "yes" if default else "no"
        case enum.Enum() | IPv4Address() | IPv6Address():
            return str(default)
        case float() | Seconds():
            return duration_text(default)
        case bytes():
            return default.decode()
        case tuple():
            return default[0]
        case list():
            return [written(item) for item in default]
        case BaseModel():
            return None
        case _:
            return default


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration file."""
    generated = RootForm.model_json_schema(schema_generator=_Generate)
    tidy: dict[str, Any] = _tidy(generated)
    return {"$schema": _DIALECT, "title": "ipvs-lb configuration", **tidy}


def _tidy(node: Any) -> Any:
    match node:
        case dict():
            return dict(_tidy_items(node))
        case list():
            return [_tidy(item) for item in node]
        case _:
            return node


def _tidy_items(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Without titles, absent defaults and the reader's private details."""
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            yield key, {name: _tidy(item) for name, item in value.items()}
        elif key not in _DROPPED and not (key == "default" and value in (None, {}, [])):
            yield key, _tidy(value)


def text() -> str:
    """The schema as it is kept in a file."""
    return json.dumps(schema(), indent=2) + "\n"
