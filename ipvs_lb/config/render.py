"""A kernel table as a configuration that means the same.

Loading the text and taking its effective table gives the table back, and applying it changes nothing on the host:
addresses are `managed: no`, and nothing is health-checked. What a configuration cannot express is left out, with a
comment that says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ipvs_lb.config.loader import problem_lines
from ipvs_lb.config.written import (
    Entries,
    Pairs,
    daemons,
    flow,
    settings,
    text,
    timeouts,
    tunnel,
    without,
)
from ipvs_lb.model.identity import NO_PORT, AddressKey, IPProtocol, ServerKey, ServiceKey
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import Table, VirtualService

_DNS = 53
_KINDS = {
    80: "http",
    8080: "http",
    443: "https",
    25: "smtp",
    3306: "mysql",
    5432: "postgres",
    6379: "redis",
}


def render(table: Table, *, comment: str = "", suggest_checks: bool = False) -> str:
    """The configuration that means *table*; *comment* stands at its top, a check in a comment at each service."""
    head = [f"# {line}".rstrip() for line in comment.splitlines()] + ["version: 1"]
    parts = [list(timeouts(table.timeouts)), list(daemons((table.daemons or {}).values()))]
    services = [
        [*_service(key, virtual), *(_suggestion(key) if suggest_checks else ())]
        for key, virtual in table.services.items()
    ]
    problems = problem_lines("\n".join(_lines(head, parts, services)))
    if problems:
        start = len(head) + 1
        parts, start = without(problems, parts, start)
        services, _ = without(problems, services, start + 1)
    return "\n".join([*_lines(head, parts, services), ""])


def _lines(head: list[str], parts: Entries, services: Entries) -> list[str]:
    """All lines, in the order of the parts."""
    some = any(not line.lstrip().startswith("#") for line in chain(*services))
    return [*head, *chain(*parts), "services:" if some else "services: []", *chain(*services)]


def _service(key: ServiceKey, virtual: VirtualService) -> Iterator[str]:
    pairs = [*_key(key), *settings(virtual.service)]
    yield f"  - name: {text(str(key).replace('/', '-'))}"
    yield from (f"    {name}: {value}" for name, value in pairs)
    own = key.port if isinstance(key, AddressKey) else NO_PORT
    servers = [flow(_server(*item, own)) for item in virtual.servers.items()]
    yield "    servers:" if servers else "    servers: []"
    yield from (f"      - {server}" for server in servers)


def _suggestion(key: ServiceKey) -> Iterator[str]:
    """A health check that such a service often has, as a comment."""
    port = key.port if isinstance(key, AddressKey) else NO_PORT
    check = [("type", _KINDS.get(port, "tcp"))]
    if isinstance(key, AddressKey) and key.protocol is not IPProtocol.TCP:
        check = [("type", "ping")] if port != _DNS else [("type", "dns"), ("name", "example.org")]
    elif not port:
        check.append(("port", "80"))
    if check[0][1] in {"http", "https"}:
        check.append(("path", "/"))
    limits = [("interval", "5s"), ("timeout", "2s"), ("rise", "2"), ("fall", "3")]
    yield f"    # health_check: {flow([*check, *limits])}"


def _key(key: ServiceKey) -> Pairs:
    if isinstance(key, AddressKey):
        yield "vip", flow([("address", text(str(key.address))), ("managed", "no")])
        yield "port", str(key.port)
        yield "protocol", str(key.protocol)
    else:
        yield "fwmark", str(key.mark)
        yield "family", str(key.family)


def _server(key: ServerKey, server: Server, own: int) -> Pairs:
    yield "address", text(str(key.address))
    if key.port != own:
        yield "port", str(key.port)
    yield "forwarding", str(server.forwarding)
    yield "weight", str(server.weight)
    if server.upper_threshold:
        yield "upper_threshold", str(server.upper_threshold)
    if server.lower_threshold:
        yield "lower_threshold", str(server.lower_threshold)
    if server.tunnel is not None:
        yield "tunnel", flow(tunnel(server.tunnel))
