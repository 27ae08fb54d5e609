"""Settings in the words an operator reads."""

from __future__ import annotations

from collections.abc import Mapping

from ipvs_lb.model.identity import ServerKey
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.serial import JSON, server_to_json, service_to_json


def field_name(name: str) -> str:
    """A field's name in the JSON schemas, as words."""
    return name.replace("_", " ")


def field_value(value: JSON) -> str:
    """A field's value in the JSON schemas, as words."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return " ".join(f"{field_name(k)} {field_value(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def service_words(service: Service) -> str:
    """What is set on a service: `scheduler rr  persistence timeout 300 netmask 255.255.255.255`."""
    return _set_fields(service_to_json(service))


def service_extras(service: Service) -> str:
    """What is set on a service beside its scheduler; empty when nothing is."""
    fields = service_to_json(service)
    return _set_fields({name: fields[name] for name in fields if name != "scheduler"})


def server_words(key: ServerKey, server: Server) -> str:
    """What is set on a server: `masq  weight 1`."""
    fields = server_to_json(key, server)
    settings = {k: v for k, v in fields.items() if k not in _SERVER_OWN_WORDS}
    limits = _set_fields(settings)
    return f"{server.forwarding}  weight {server.weight}{'  ' if limits else ''}{limits}"


_SERVER_OWN_WORDS = frozenset({"address", "port", "forwarding", "weight"})


def _set_fields(fields: Mapping[str, JSON]) -> str:
    return "  ".join(
        field_name(name) if value is True else f"{field_name(name)} {field_value(value)}"
        for name, value in fields.items()
        if value
    )
