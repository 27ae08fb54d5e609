"""The compatible API in OpenAPI, made of its own table of fields and its own list of paths: what a fuzzer goes by.

Identifiers are words such as `the-pool-1`, which whoever asks puts real ones in the place of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from ipvs_lb.octavia import fields
from ipvs_lb.octavia.app import Endpoint
from ipvs_lb.octavia.fields import FIELDS, Field
from ipvs_lb.octavia.objects import Algorithm, Kind

Schema = dict[str, Any]
NOBODY = "00000000-0000-4000-8000-00000000dead"
SUBNET, NETWORK, OUTSIDE = "the-subnet", "the-network", "the-external-network"
PORT, FLOATING, PROJECT, PROVIDER = "the-port", "the-floating-ip", "the-project", "the-provider"
_OF = {kind: f"the-{kind}" for kind in Kind}
WORDS = (*_OF.values(), SUBNET, NETWORK, OUTSIDE, PORT, FLOATING)
"""Everything that there is one of."""
_ANY = [f"{word}-1" for word in WORDS]
_REFERENCES = {
    "loadbalancer_id": _OF[Kind.LOAD_BALANCER],
    "listener_id": _OF[Kind.LISTENER],
    "default_pool_id": _OF[Kind.POOL],
    "pool_id": _OF[Kind.POOL],
    "vip_subnet_id": SUBNET,
    "vip_network_id": NETWORK,
    "subnet_id": SUBNET,
    "floating_network_id": OUTSIDE,
    "port_id": PORT,
}
_COLLECTIONS = {
    **{kind.plural: _OF[kind] for kind in Kind},
    "networks": NETWORK,
    "subnets": SUBNET,
    "ports": PORT,
    "floatingips": FLOATING,
}
_STEPS = {"project": PROJECT, "provider": PROVIDER}
_ADDRESS: Schema = {
    "enum": [
        "10.0.0.77",
        "10.0.0.78",
        "10.0.0.4",
        "192.0.2.1",
        "127.0.0.1",
        "fd00::5",
        "224.0.0.1",
        "::",
    ]
}
_NETWORKS: Schema = {"enum": ["10.0.0.0/8", "192.0.2.7/24", "0.0.0.0/0", "fd00::/8", "10.0.0.0"]}
_TEXT: Schema = {"type": "string", "maxLength": fields.MAX_TEXT}
_LIST: Schema = {"type": "array", "items": {}, "maxItems": 3}
_SCHEMAS: Mapping[object, Schema] = {
    fields.text: _TEXT,
    fields.flag: {"type": "boolean"},
    fields.address: _ADDRESS,
    fields.server_address: _ADDRESS,
    fields.cidrs: {"type": "array", "items": _NETWORKS, "maxItems": 3},
    fields.tags: {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    fields.url_path: {"enum": ["/", "/health", "/a?b=c", "/ü", ""]},
    fields.expected_codes: {"enum": ["200", "200-204", "200,301", "200-", "999999"]},
    fields.http_version: {"enum": [1.0, 1.1, "1.1", 2]},
    fields.domain_name: {"enum": ["www.example.org", "-a", ""]},
    fields.session_persistence: {
        "type": "object",
        "properties": {
            "type": {"enum": ["SOURCE_IP", "HTTP_COOKIE"]},
            "persistence_timeout": {"type": "integer"},
            "persistence_granularity": {"enum": ["255.255.255.0", "24", "64", "0.0.0.0"]},
        },
        "additionalProperties": False,
    },
}
_NESTED = {
    "listeners": Kind.LISTENER,
    "pools": Kind.POOL,
    "default_pool": Kind.POOL,
    "members": Kind.MEMBER,
    "healthmonitor": Kind.HEALTH_MONITOR,
}
_QUERY: Mapping[str, Schema] = {
    "limit": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "marker": {"enum": [*_ANY, NOBODY, ""]},
    "page_reverse": {"enum": ["true", "false", "what"]},
    "sort": {"enum": ["name", "name:desc,id:asc", "created_at:up", "tags:desc", "vip_address"]},
    "sort_key": {"type": "string"},
    "sort_dir": {"enum": ["asc", "desc", "up"]},
    "fields": {"type": "string"},
    "name": {"type": "string"},
    "project_id": {"type": "string"},
    "admin_state_up": {"enum": ["true", "maybe"]},
    "tags": {"type": "string"},
    "not-tags-any": {"type": "string"},
    "fixed_ips": {"enum": ["ip_address=10.0.0.3", "subnet_id", "=", ""]},
}
_SAID: Schema = {"enum": ["true", "no", "what"]}


def document(endpoints: Iterable[Endpoint]) -> Schema:
    """All *endpoints*, with what may be said to each."""
    paths: dict[str, dict[str, Schema]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Octavia-compatible API", "version": "2"},
        "paths": paths,
    }


def _operation(endpoint: Endpoint) -> Schema:
    steps = re.findall(r"\{(\w+)\}", endpoint.path)
    operation: Schema = {
        "operationId": f"{endpoint.method} {endpoint.path}",
        "parameters": [
            *(_parameter("path", step, _identifiers(endpoint.path, step)) for step in steps),
            *(_parameter("query", name, schema) for name, schema in _query(endpoint)),
        ],
        "responses": {"default": {"description": "whatever it is"}},
    }
    if body := _body(endpoint):
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(place: str, name: str, schema: Schema) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _identifiers(path: str, step: str) -> Schema:
    before = path.partition(f"/{{{step}}}")[0].rpartition("/")[2]
    there = _COLLECTIONS.get(before) or _STEPS.get(step, NOBODY)
    return _reference(there)


def _query(endpoint: Endpoint) -> Iterator[tuple[str, Schema]]:
    steps = endpoint.path.split("/")
    match endpoint.method, steps[-1]:
        case "GET", _:
            yield from _QUERY.items()
        case "PUT", "members":
            yield "additive_only", _SAID
        case "DELETE", _ if Kind.LOAD_BALANCER.plural in steps:
            yield "cascade", _SAID


def _body(endpoint: Endpoint) -> Schema:
    """Of what is sent; nothing where nothing is."""
    steps = endpoint.path.split("/")
    named = [step for step in steps if not step.startswith("{")]
    is_new = endpoint.method == "POST"
    match named[-1], endpoint.method:
        case _, "GET" | "DELETE":
            return {}
        case "members", "PUT" if steps[-1] == "members":
            several = {"type": "array", "items": _object(Kind.MEMBER, new=True), "maxItems": 4}
            return _around("members", several)
        case "floatingips", _:
            return _around("floatingip", _floating(new=is_new))
        case "quotas", _:
            limit = {"type": ["integer", "null"]}
            return _around("quota", _closed({kind.value: limit for kind in Kind}))
        case name, _:
            kinds = [kind for kind in Kind if kind.plural == name]
            return _around(kinds[0], _object(kinds[0], new=is_new)) if kinds else {}


def _around(key: str, inside: Schema) -> Schema:
    return _closed({key: inside}, [key])


def _closed(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _floating(*, new: bool) -> Schema:
    known = {
        "port_id": _reference(PORT),
        "fixed_ip_address": _ADDRESS,
        "description": _TEXT,
    }
    if new:
        known |= {"floating_network_id": _reference(OUTSIDE), "subnet_id": _reference(SUBNET)}
        known |= {"floating_ip_address": _ADDRESS, "tags": _SCHEMAS[fields.tags]}
    return _closed(known, ["floating_network_id"] if new else [])


def _object(kind: Kind, *, new: bool, levels: int = 2) -> Schema:
    """The fields of a body; *levels* of others may be inside."""
    known = [one for one in FIELDS[kind] if new or not one.is_fixed]
    known = [one for one in known if levels or one.name not in _NESTED]
    required = [one.name for one in known if one.is_required and new]
    if kind is Kind.LOAD_BALANCER and new:
        required.append("vip_subnet_id")
    if kind in {Kind.LISTENER, Kind.POOL} and new and levels > 1:
        required.append("loadbalancer_id")
    return _closed({one.name: _value(one, levels) for one in known}, required)


def _value(field: Field, levels: int) -> Schema:
    schema = _without_null(field, levels)
    return schema if field.is_required else {"anyOf": [schema, {"type": "null"}]}


def _without_null(field: Field, levels: int) -> Schema:
    if field.name in _REFERENCES:
        return _reference(_REFERENCES[field.name])
    if field.name in _NESTED:
        inside = _object(_NESTED[field.name], new=True, levels=levels - 1)
        is_list = field.parse is fields.nested
        return {"type": "array", "items": inside, "maxItems": 2} if is_list else inside
    if field.name == "lb_algorithm":
        return {"enum": [*Algorithm]}
    parse = field.parse
    given = parse.keywords if isinstance(parse, partial) else {}
    function = parse.func if isinstance(parse, partial) else parse
    if function is fields.whole:
        return {"type": "integer", "minimum": given["least"], "maximum": given["most"]}
    if function is fields.choice:
        return {"enum": [*given["among"]]}
    schema = _SCHEMAS.get(function, {"type": "null"})
    return {**schema, "maxLength": given["longest"]} if "longest" in given else schema


def _reference(word: str) -> Schema:
    """More often *word* than something else."""
    often = [f"{word}-{number}" for number in range(2 * len(_ANY))]
    return {"enum": [*dict.fromkeys([*often, *_ANY, NOBODY, "nobody", "..", "é\0 %"])]}
