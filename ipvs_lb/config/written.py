"""How single values and kernel settings stand in a configuration: the inverse of reading them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from ipvs_lb.config.values import duration_text
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    Persistence,
    SchedulerFlags,
    Service,
    SyncDaemon,
    Timeouts,
    Tunnel,
    TunnelChecksum,
)

Entries = list[list[str]]
"""Lines of a list's items, or of settings that stand beside each other."""

Pairs = Iterable[tuple[str, str]]
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def text(value: str) -> str:
    """*value* as YAML, in quotes where it could be taken for something else."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value.replace("$", "$$"), ensure_ascii=not value.isprintable())


def flow(pairs: Pairs) -> str:
    """A mapping in one line."""
    return "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"


def without(problems: Mapping[int, str], entries: Entries, start: int) -> tuple[Entries, int]:
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


def settings(service: Service) -> Pairs:
    """The keys of a service for what the kernel keeps of it."""
    yield "scheduler", text(service.scheduler)
    if service.flags:
        yield "flags", f"[{', '.join(_flags(service))}]"
    if service.persistence is not None or service.persistence_engine is not None:
        yield "persistence", flow(_persistence(service.persistence, service.persistence_engine))
    if service.one_packet:
        yield "one_packet", "yes"


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
        yield "engine", text(engine)


def _flags(service: Service) -> Iterator[str]:
    names = {flag: name for name, flag in SCHEDULER_FLAGS.get(service.scheduler, {}).items()}
    for number, flag in enumerate(SchedulerFlags, start=1):
        if flag in service.flags:
            yield names.get(flag, f"flag-{number}")


def tunnel(encapsulation: Tunnel) -> Pairs:
    """The keys of `tunnel`."""
    yield "type", str(encapsulation.type)
    if encapsulation.port:
        yield "port", str(encapsulation.port)
    if encapsulation.checksum is not TunnelChecksum.NONE:
        yield "checksum", str(encapsulation.checksum)


def timeouts(wanted: Timeouts | None) -> Iterator[str]:
    """The line of `timeouts`."""
    if wanted is not None:
        named = [("tcp", wanted.tcp), ("tcp_fin", wanted.tcp_fin), ("udp", wanted.udp)]
        yield f"timeouts: {flow((name, duration_text(value)) for name, value in named)}"


def daemons(wanted: Iterable[SyncDaemon]) -> Iterator[str]:
    """The lines of `sync`."""
    flows = [flow(_daemon(daemon)) for daemon in wanted]
    yield from ["sync:"] if flows else []
    yield from (f"  - {one}" for one in flows)


def _daemon(daemon: SyncDaemon) -> Pairs:
    yield "role", str(daemon.role)
    yield "interface", text(daemon.interface)
    yield "id", str(daemon.sync_id)
    if daemon.max_length:
        yield "max_length", str(daemon.max_length)
    if daemon.group is not None:
        yield "group", text(str(daemon.group))
    if daemon.port:
        yield "port", str(daemon.port)
    if daemon.ttl:
        yield "ttl", str(daemon.ttl)
