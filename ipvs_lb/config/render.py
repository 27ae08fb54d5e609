"""A kernel table as a configuration that means the same.

Loading the text and taking its effective table gives the table back, and applying it changes nothing on the host:
addresses are `managed: no`, and nothing is health-checked. What a configuration cannot express is left out, with a
comment that says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from itertools import chain

from ipvs_lb.config.loader import problem_lines
from ipvs_lb.config.values import duration_text
from ipvs_lb.model.identity import NO_PORT, AddressKey, ServerKey, ServiceKey
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    Persistence,
    SchedulerFlags,
    Server,
    Service,
    SyncDaemon,
    Timeouts,
    Tunnel,
    TunnelChecksum,
)
from ipvs_lb.model.table import Table, VirtualService

Entries = list[list[str]]
Pairs = Iterable[tuple[str, str]]
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def render(table: Table, *, comment: str = "") -> str:
    """The configuration that means *table*; *comment* stands at its top."""
    head = [f"# {line}".rstrip() for line in comment.splitlines()] + ["version: 1"]
    settings = [list(_timeouts(table.timeouts)), list(_daemons((table.daemons or {}).values()))]
    services = [list(_service(key, virtual)) for key, virtual in table.services.items()]
    problems = problem_lines("\n".join(_lines(head, settings, services)))
    if problems:
        start = len(head) + 1
        settings, start = _without(problems, settings, start)
        services, _ = _without(problems, services, start + 1)
    return "\n".join([*_lines(head, settings, services), ""])


def _lines(head: list[str], settings: Entries, services: Entries) -> list[str]:
    """All lines, in the order of the parts."""
    some = any(not line.lstrip().startswith("#") for line in chain(*services))
    return [*head, *chain(*settings), "services:" if some else "services: []", *chain(*services)]


def _without(problems: Mapping[int, str], entries: Entries, start: int) -> tuple[Entries, int]:
    """*entries*, which start at line *start*, those with a problem as comments; the line after them."""
    kept: Entries = []
    for entry in entries:
        numbers = range(start, start + len(entry))
        reasons = [problems[number] for number in numbers if number in problems]
        kept.append(_commented(entry, reasons) if reasons else entry)
        start += len(entry)
    return kept, start


def _commented(entry: list[str], reasons: list[str]) -> list[str]:
    indent = entry[0][: len(entry[0]) - len(entry[0].lstrip())]
    lines = [f"left out: {reason}" for reason in reasons]
    lines += [line.removeprefix(indent) for line in entry]
    return [f"{indent}# {line}" for line in lines]


def _service(key: ServiceKey, virtual: VirtualService) -> Iterator[str]:
    pairs = [*_key(key), *_settings(key, virtual.service)]
    yield f"  - name: {_text(str(key).replace('/', '-'))}"
    yield from (f"    {name}: {value}" for name, value in pairs)
    own = key.port if isinstance(key, AddressKey) else NO_PORT
    servers = [_flow(_server(*item, own)) for item in virtual.servers.items()]
    yield "    servers:" if servers else "    servers: []"
    yield from (f"      - {server}" for server in servers)


def _key(key: ServiceKey) -> Pairs:
    if isinstance(key, AddressKey):
        yield "vip", _flow([("address", _text(str(key.address))), ("managed", "no")])
        yield "port", str(key.port)
        yield "protocol", str(key.protocol)
    else:
        yield "fwmark", str(key.mark)
        yield "family", str(key.family)


def _settings(key: ServiceKey, service: Service) -> Pairs:
    yield "scheduler", _text(service.scheduler)
    if service.flags:
        yield "flags", f"[{', '.join(_flags(service))}]"
    if service.persistence is not None or service.persistence_engine is not None:
        yield "persistence", _flow(_persistence(service.persistence, service.persistence_engine))
    if service.one_packet:
        yield "one_packet", "yes"


def _flags(service: Service) -> Iterator[str]:
    names = {flag: name for name, flag in SCHEDULER_FLAGS.get(service.scheduler, {}).items()}
    for number, flag in enumerate(SchedulerFlags, start=1):
        if flag in service.flags:
            yield names.get(flag, f"flag-{number}")


def _persistence(persistence: Persistence | None, engine: str | None) -> Pairs:
    if persistence is None:
        yield "timeout", '"none"'
    else:
        yield "timeout", f"{persistence.timeout}s"
        if isinstance(persistence.granularity, IPv4Address):
            yield "netmask", str(persistence.granularity)
        else:
            yield "prefix", str(persistence.granularity)
    if engine is not None:
        yield "engine", _text(engine)


def _server(key: ServerKey, server: Server, own: int) -> Pairs:
    yield "address", _text(str(key.address))
    if key.port != own:
        yield "port", str(key.port)
    yield "forwarding", str(server.forwarding)
    yield "weight", str(server.weight)
    if server.upper_threshold:
        yield "upper_threshold", str(server.upper_threshold)
    if server.lower_threshold:
        yield "lower_threshold", str(server.lower_threshold)
    if server.tunnel is not None:
        yield "tunnel", _flow(_tunnel(server.tunnel))


def _tunnel(tunnel: Tunnel) -> Pairs:
    yield "type", str(tunnel.type)
    if tunnel.port:
        yield "port", str(tunnel.port)
    if tunnel.checksum is not TunnelChecksum.NONE:
        yield "checksum", str(tunnel.checksum)


def _timeouts(timeouts: Timeouts | None) -> Iterator[str]:
    if timeouts is not None:
        named = [("tcp", timeouts.tcp), ("tcp_fin", timeouts.tcp_fin), ("udp", timeouts.udp)]
        yield f"timeouts: {_flow((name, duration_text(value)) for name, value in named)}"


def _daemons(daemons: Iterable[SyncDaemon]) -> Iterator[str]:
    flows = [_flow(_daemon(daemon)) for daemon in daemons]
    yield from ["sync:"] if flows else []
    yield from (f"  - {flow}" for flow in flows)


def _daemon(daemon: SyncDaemon) -> Pairs:
    yield "role", str(daemon.role)
    yield "interface", _text(daemon.interface)
    yield "id", str(daemon.sync_id)
    if daemon.max_length:
        yield "max_length", str(daemon.max_length)
    if daemon.group is not None:
        yield "group", _text(str(daemon.group))
    if daemon.port:
        yield "port", str(daemon.port)
    if daemon.ttl:
        yield "ttl", str(daemon.ttl)


def _flow(pairs: Pairs) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"


def _text(text: str) -> str:
    """*text* as YAML, in quotes where it could be taken for something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text.replace("$", "$$"))
