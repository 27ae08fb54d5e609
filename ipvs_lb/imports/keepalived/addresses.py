"""Where virtual servers answer: single addresses, ranges of them, marks, and groups of all these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from ipvs_lb.config import values
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.keepalived.statements import Statement
from ipvs_lb.model.identity import Family, IPAddress, family_of

FAMILIES = {"inet": Family.IPV4, "inet6": Family.IPV6}
MOST_ADDRESSES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a virtual_server_group, or what stands after virtual_server: addresses with ports, or a mark."""

    mark: Mark
    vips: tuple[IPAddress, ...] = ()
    ports: tuple[int, int] = (0, 0)
    fwmark: int | None = None
    family: Family | None = None

    @property
    def families(self) -> frozenset[Family]:
        """The families of its addresses."""
        return frozenset(map(family_of, self.vips))


def entry(words: list[str], mark: Mark) -> Entry:
    """What *words* say. Raises ValueError."""
    if words[:1] == ["fwmark"]:
        number = values.whole(1, 2**32 - 1)(words[1] if len(words) > 1 else "nothing")
        return Entry(mark=mark, fwmark=number, family=FAMILIES.get(words[2] if words[2:] else ""))
    vips = tuple(_addresses(words[0] if words else ""))
    return Entry(mark=mark, vips=vips, ports=values.ports(words[1] if words[1:] else "0"))


def _addresses(text: str) -> Iterator[IPAddress]:
    if "/" in text:
        network = ip_network(text)
        _limit(network.num_addresses)
        yield from network
        return
    first, dash, last = text.partition("-")
    start = values.address(first)
    end = _end(start, last) if dash else start
    if end.version != start.version or int(end) < int(start):
        raise ValueError(f"{text} is not a range of addresses")
    _limit(int(end) - int(start) + 1)
    yield from (start + step for step in range(int(end) - int(start) + 1))


def _end(start: IPAddress, last: str) -> IPAddress:
    """The end of a range: an address, or what takes the place of the first one's last part."""
    if "." in last or ":" in last:
        return values.address(last)
    mark = "." if start.version == 4 else ":"  # noqa: PLR2004  # IP versions
    text = str(start) if mark == "." else start.exploded
    return values.address(f"{text.rpartition(mark)[0]}{mark}{last}")


def _limit(count: int) -> None:
    if count > MOST_ADDRESSES:
        raise ValueError(f"{count} addresses, at most {MOST_ADDRESSES} are taken")


def group(statement: Statement, findings: Findings) -> list[Entry]:
    """The entries of a virtual_server_group; those that make no sense are told."""
    found = []
    for line in statement.block or []:
        try:
            found.append(entry(line.words, line.mark))
        except ValueError as error:
            findings.left_out(line.mark, f"{statement.title}: {line.title}", str(error))
    return found
