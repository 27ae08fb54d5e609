"""A draft as the text of a configuration that loads.

What the reader of configurations would refuse is left out, as a comment that says why; the caller is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from ipvs_lb.config.draft import Answers, Checks, Draft, DraftServer, DraftService
from ipvs_lb.config.loader import problem_lines
from ipvs_lb.config.problems import one_line
from ipvs_lb.config.render_checks import check
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
from ipvs_lb.model.config import OnDown, Quorum
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.settings import Forwarding, Tunnel

_PLACE = re.compile(r"(?<= ):([0-9]+):[0-9]+")


@dataclass(frozen=True, slots=True)
class Refused:
    """A service of the draft that is left out, and why; `origin` is where it was read."""

    name: str
    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text, and what of the draft is not in it."""

    text: str
    refused: tuple[Refused, ...] = ()


def render_draft(draft: Draft) -> Rendered:
    """The configuration that says what *draft* says."""
    head = [*_remarks(draft.remarks, ""), "version: 1", *_top(draft), ""]
    entries = [list(_service(one)) for one in draft.services]
    start = len(head) + 2
    problems = problem_lines("\n".join(_lines(head, entries)))
    if draft.pools and any(number < start for number in problems):
        return render_draft(_without_pools(draft))
    kept, _ = without(problems, entries, start)
    refused = list(_refused(draft, entries, problems, start))
    return Rendered("\n".join([*_lines(head, kept), ""]), tuple(refused))


def _without_pools(draft: Draft) -> Draft:
    """The same with the pools' servers in the services, where one that is refused takes its service along."""
    services = (
        replace(one, servers=draft.pools[one.servers]) if isinstance(one.servers, str) else one
        for one in draft.services
    )
    return replace(draft, services=tuple(services), pools={})


def _lines(head: list[str], entries: Entries) -> list[str]:
    some = any(not line.lstrip().startswith("#") for line in chain(*entries))
    return [*head, "services:" if some else "services: []", *chain(*entries)]


def _refused(
    draft: Draft, entries: Entries, problems: dict[int, str], start: int
) -> Iterator[Refused]:
    origins: dict[int, str] = {}
    for service, entry in zip(draft.services, entries, strict=True):
        lines = range(start, start + len(entry))
        origins |= dict.fromkeys(lines, service.origin)
        reasons = [problems[number] for number in lines if number in problems]
        yield from (
            Refused(service.name, service.origin, _with_origins(reason, origins))
            for reason in reasons
        )
        start += len(entry)


def _with_origins(reason: str, origins: dict[int, str]) -> str:
    """*reason* with the places of what was read instead of those in the text that is not written yet."""
    return _PLACE.sub(lambda place: origins.get(int(place[1]), "another place"), reason)


def _remarks(remarks: tuple[str, ...], indent: str) -> Iterator[str]:
    yield from (f"{indent}# {one_line(remark)}".rstrip() for remark in remarks)


def _top(draft: Draft) -> Iterator[str]:
    yield from timeouts(draft.timeouts)
    yield from daemons(draft.sync_daemons)
    if draft.watch:
        yield "daemon: {watch: yes}"
    if draft.pools:
        yield from ("", "pools:")
    for name, servers in draft.pools.items():
        yield f"  {text(name)}:"
        yield from _servers(servers, "    ", Forwarding.MASQ, None)


def _service(service: DraftService) -> Iterator[str]:
    yield from _remarks(service.remarks, "  ")
    yield f"  - name: {text(service.name)}"
    own = [] if isinstance(service.servers, str) else list(service.servers)
    forwarding = own[0].forwarding if own else Forwarding.MASQ
    encapsulation = own[0].tunnel if own else None
    yield from _answers(service.answers)
    pairs = [*settings(service.settings), ("forwarding", str(forwarding))]
    pairs += _common(encapsulation, service)
    yield from (f"    {name}: {value}" for name, value in pairs)
    yield from _checks(service.checks, "    ")
    if isinstance(service.servers, str):
        yield f"    pool: {text(service.servers)}"
    else:
        yield from _servers(service.servers, "    ", forwarding, encapsulation)


def _common(encapsulation: Tunnel | None, service: DraftService) -> Pairs:
    if encapsulation is not None:
        yield "tunnel", flow(tunnel(encapsulation))
    if service.on_down is not OnDown.REMOVE:
        yield "on_down", str(service.on_down)
    if service.quorum is not None:
        yield "quorum", flow(_quorum(service.quorum))


def _quorum(quorum: Quorum) -> Pairs:
    yield "servers", str(quorum.servers)
    if quorum.hysteresis:
        yield "hysteresis", str(quorum.hysteresis)
    yield "action", str(quorum.action)


def _answers(answers: Answers) -> Iterator[str]:
    vips = [_vip(vip) for vip in answers.vips]
    if len(vips) == 1:
        yield f"    vip: {vips[0]}"
    elif vips:
        yield "    vips:"
        yield from (f"      - {vip}" for vip in vips)
    if answers.fwmark is not None:
        yield f"    fwmark: {answers.fwmark}"
        if answers.family is not None:
            yield f"    family: {answers.family}"
        return
    ports = [str(low) if low == high else f"{low}-{high}" for low, high in answers.ports]
    yield f"    port: {ports[0]}" if len(ports) == 1 else f"    ports: [{', '.join(ports)}]"
    yield f"    protocol: {answers.protocol}"


def _vip(address: IPAddress) -> str:
    return flow([("address", text(str(address))), ("managed", "no")])


def _servers(
    servers: tuple[DraftServer, ...],
    indent: str,
    forwarding: Forwarding,
    encapsulation: Tunnel | None,
) -> Iterator[str]:
    yield f"{indent}servers:" if servers else f"{indent}servers: []"
    for server in servers:
        pairs = flow(_server(server, forwarding, encapsulation))
        if server.checks is None or not server.checks:
            yield f"{indent}  - {pairs}"
            continue
        first, *rest = _server(server, forwarding, encapsulation)
        yield f"{indent}  - {first[0]}: {first[1]}"
        yield from (f"{indent}    {name}: {value}" for name, value in rest)
        yield from _checks(server.checks, f"{indent}    ")


def _server(server: DraftServer, forwarding: Forwarding, encapsulation: Tunnel | None) -> Pairs:
    yield "address", text(str(server.address))
    if server.port is not None:
        yield "port", str(server.port)
    yield "weight", str(server.weight)
    if server.forwarding is not forwarding:
        yield "forwarding", str(server.forwarding)
    if server.tunnel is not None and server.tunnel != encapsulation:
        yield "tunnel", flow(tunnel(server.tunnel))
    yield from _seldom(server)


def _seldom(server: DraftServer) -> Pairs:
    if server.upper_threshold:
        yield "upper_threshold", str(server.upper_threshold)
    if server.lower_threshold:
        yield "lower_threshold", str(server.lower_threshold)
    if server.tier:
        yield "backup", "yes" if server.tier == 1 else str(server.tier)
    if server.disabled:
        yield "disabled", "yes"
    if server.checks is not None and not server.checks:
        yield "health_checks", "[]"


def _checks(checks: Checks | None, indent: str) -> Iterator[str]:
    if not checks:
        return
    if len(checks) == 1:
        yield f"{indent}health_check: {check(checks[0])}"
        return
    yield f"{indent}health_checks:"
    yield from (f"{indent}  - {check(one)}" for one in checks)
