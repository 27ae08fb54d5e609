"""The OpenAPI document, from the table of endpoints and the types of bodies and answers."""

from __future__ import annotations

import http
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ipvs_lb import __version__
from ipvs_lb.api import answers
from ipvs_lb.api.endpoints import ENDPOINTS, Endpoint

_REFERENCE = "#/components/schemas/{model}"
_DESCRIPTION = """\
The daemon of one gateway, on the unix socket /run/ipvs-lb/api.sock.

A server is named by its name, its address or `address:port`, within a service by `service/server`; `*`, `?` and
`[...]` are wildcards. An order changes all servers it names or none.

A request's line and headers have 64 KiB at most, its body 512 KiB; what is longer is refused with 431 or 413."""

Schema = dict[str, Any]  # JSON Schema and OpenAPI are as open as that

_EVENT = {"$ref": _REFERENCE.format(model="EventView")}
_SENT_EVENT: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The event's number."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": _EVENT,
        },
    },
    "required": ["id", "data"],
    "description": "Each of the server-sent events.",
}


@cache
def openapi() -> Schema:
    """The document; it is the same for the life of the process."""
    schemas, definitions = _schemas()
    paths: dict[str, Schema] = {}
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace(":path", "")
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ipvs-lb", "version": __version__, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _types() -> Iterator[tuple[type, JsonSchemaMode]]:
    yield answers.Refused, "serialization"
    for endpoint in ENDPOINTS:
        yield endpoint.answer, "serialization"
        if endpoint.body is not None:
            yield endpoint.body, "validation"


def _schemas() -> tuple[dict[type, Schema], Schema]:
    """The schema, a reference mostly, of every type; and the definitions they refer to."""
    wanted: list[tuple[type, JsonSchemaMode, TypeAdapter[Any]]] = [
        (kind, mode, TypeAdapter(kind)) for kind, mode in dict(_types()).items()
    ]
    found, definitions = TypeAdapter.json_schemas(wanted, ref_template=_REFERENCE)
    schemas = {kind: found[kind, mode] for kind, mode, _ in wanted}
    return schemas, definitions["$defs"]


def _operation(endpoint: Endpoint, schemas: dict[type, Schema]) -> Schema:
    answer = {media: {"schema": schemas[endpoint.answer]} for media in endpoint.media_types}
    if "text/event-stream" in answer:
        answer["text/event-stream"] = {"schema": _SENT_EVENT}
    refused = {"application/json": {"schema": schemas[answers.Refused]}}
    operation: Schema = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint.query)],
        "responses": {
            str(status): {"description": http.HTTPStatus(status).phrase, "content": content}
            for statuses, content in (
                ((200, *endpoint.also), answer),
                ((401, *_forbidden(endpoint), *endpoint.refusals), refused),
            )
            for status in statuses
        },
    }
    if endpoint.body is not None:
        body = {"application/json": {"schema": schemas[endpoint.body]}}
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _forbidden(endpoint: Endpoint) -> tuple[int, ...]:
    """Who may only look is refused what changes something."""
    return () if endpoint.method == "GET" else (403,)


def _path_parameters(endpoint: Endpoint) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)", endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(query: type[BaseModel] | None) -> Iterator[Schema]:
    if query is None:
        return
    schema = query.model_json_schema(ref_template=_REFERENCE)
    definitions = schema.get("$defs", {})
    for name, property_ in schema["properties"].items():
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inlined(property_, definitions),
        }


def _inlined(schema: Schema, definitions: Schema) -> Schema:
    """*schema* of a list of words without references."""
    items = schema.get("items", {})
    if "$ref" not in items:
        return schema
    return {**schema, "items": definitions[items["$ref"].rpartition("/")[2]]}
