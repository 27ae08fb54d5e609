"""A virtual_server as services of a draft: one for each set of ports and each mark, with a pool where it is several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ipvs_lb.config.draft import Answers, DraftServer, DraftService
from ipvs_lb.imports.drafting import with_shared_checks
from ipvs_lb.imports.findings import Findings
from ipvs_lb.imports.keepalived.addresses import Entry
from ipvs_lb.imports.keepalived.virtual_servers import Virtual
from ipvs_lb.imports.names import Names
from ipvs_lb.model.identity import Family, IPAddress, endpoint, family_of
from ipvs_lb.model.settings import Forwarding

Pools = dict[str, tuple[DraftServer, ...]]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one service of several answers on, and the name it would have."""

    answers: Answers
    family: Family
    name: str


def services(
    virtual: Virtual,
    holders: Mapping[IPAddress, str],
    names: Names,
    pools: Pools,
    findings: Findings,
) -> Iterator[DraftService]:
    """The services of *virtual*; several of them share a pool, which is added to *pools*."""
    parts = list(_parts(virtual))
    checks, servers = with_shared_checks(virtual.servers)
    whose: tuple[DraftServer, ...] | str = servers
    if len(parts) > 1:
        whose = _pool_name(virtual, pools)
        pools[whose] = servers
    _tell_holders(virtual, holders, findings)
    for number, part in enumerate(parts):
        wishes = (
            [virtual.wish] if len(parts) == 1 else [f"{virtual.wish or virtual.group}-{part.name}"]
        )
        wishes += [virtual.group] if len(parts) == 1 and virtual.group else []
        yield DraftService(
            name=names.give(*wishes, part.name),
            answers=part.answers,
            settings=virtual.service(part.family),
            servers=whose,
            checks=checks,
            on_down=virtual.on_down,
            quorum=virtual.quorum,
            origin=str(virtual.mark),
            remarks=(f"{virtual.mark}: {virtual.title}", *(() if number else findings.remarks())),
        )


def _pool_name(virtual: Virtual, pools: Pools) -> str:
    names = Names(set(pools))
    return names.give(
        virtual.group, f"{virtual.group}-{virtual.protocol}", f"servers-{virtual.protocol}"
    )


def _parts(virtual: Virtual) -> Iterator[_Part]:
    """Addresses with the same ports and of the same family stand together."""
    together: dict[tuple[tuple[int, int], Family], list[IPAddress]] = {}
    for one in virtual.entries:
        for vip in one.vips:
            together.setdefault((one.ports, family_of(vip)), []).append(vip)
    for (ports, family), vips in together.items():
        unique = tuple(dict.fromkeys(vips))
        answers = Answers(vips=unique, ports=(ports,), protocol=virtual.protocol)
        where = endpoint(unique[0], ports[0])
        yield _Part(answers, family, f"{virtual.protocol}-{where}")
    yield from _marks(virtual)


def _marks(virtual: Virtual) -> Iterator[_Part]:
    marks = {one.fwmark: one for one in virtual.entries if one.fwmark is not None}
    for number, one in marks.items():
        family = _family(virtual, one)
        answers = Answers(fwmark=number, family=family)
        yield _Part(answers, family, f"fwmark-{number}")


def _family(virtual: Virtual, one: Entry) -> Family:
    """A mark's family: as written, else that of the servers."""
    if one.family or virtual.family:
        return one.family or virtual.family or Family.IPV4
    plain = {
        family_of(server.address)
        for server in virtual.servers
        if server.forwarding is not Forwarding.TUNNEL
    }
    found = plain or {family_of(server.address) for server in virtual.servers}
    return found.pop() if len(found) == 1 else Family.IPV4


def _tell_holders(virtual: Virtual, holders: Mapping[IPAddress, str], findings: Findings) -> None:
    held: dict[str, list[IPAddress]] = {}
    for one in virtual.entries:
        for vip in one.vips:
            if vip in holders:
                held.setdefault(holders[vip], []).append(vip)
    for holder, vips in held.items():
        some = ", ".join(map(str, vips[:4])) + (", ..." if len(vips) > 4 else "")  # noqa: PLR2004  # a line's worth
        findings.changed(
            virtual.mark,
            f"{virtual.title}: {some}",
            f"{holder} holds it, so it is managed: no",
            "keep keepalived for VRRP alone (keepalived --vrrp), or delete managed: no on a gateway without a peer",
        )
