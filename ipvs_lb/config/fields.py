"""How values of the configuration are told to pydantic, to the JSON Schema and to the reference."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

REFERENCE_PATTERN = r"\$\{"
"""What text contains that stands for another value until the environment is known."""


class Form(BaseModel):
    """A mapping of the configuration: known keys only."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A single value: how it is read, what the reference calls it, and its JSON Schema."""

    parse: Callable[[object], Any]
    kind: str
    json: Mapping[str, Any]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.json)


def _without_none(source: Any) -> Any:
    """X of `X | None`: a key may be left out, but what is written must be something."""
    if get_origin(source) not in {Union, types.UnionType}:
        return source
    (only,) = (part for part in get_args(source) if part is not types.NoneType)
    return only


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A value that may be left out but not be empty."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return handler.generate_schema(_without_none(source))


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A list, or one of its items alone; with a `separator`, also text that has several."""

    separator: str = ""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def listed(value: object) -> object:
            if isinstance(value, list):
                return value
            return (
                value.split(self.separator)
                if self.separator and isinstance(value, str)
                else [value]
            )

        inner = handler.generate_schema(_without_none(source))
        return core_schema.no_info_before_validator_function(listed, inner)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


@dataclass(frozen=True, slots=True, eq=False)
class Shorthand:
    """A mapping, or the value of its key `key` alone; with `off`, that word stands for none."""

    key: str
    off: bool = False

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def long(value: object) -> object:
            return {self.key: value} if isinstance(value, str | int) else value

        inner = handler.generate_schema(_without_none(source))
        return core_schema.no_info_before_validator_function(long, inner)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        mapping = handler(schema)
        short = dict(handler.resolve_ref_schema(mapping)["properties"][self.key])
        return {"anyOf": [*([{"const": "off"}] if self.off else []), short, mapping]}


def text_json(**more: Any) -> dict[str, Any]:
    """The JSON Schema of text; a number is text too."""
    return {"type": ["string", "integer"], **more}


def number_json(low: int, high: int) -> dict[str, Any]:
    """The JSON Schema of a whole number; text may be digits or hold a reference."""
    pattern = rf"^-?[0-9]+$|{REFERENCE_PATTERN}"
    return {"type": ["integer", "string"], "minimum": low, "maximum": high, "pattern": pattern}


def word_json(words: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of one of some words."""
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": REFERENCE_PATTERN}]}
