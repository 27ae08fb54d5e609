"""The kernel's list of connections (net/ip_vs_conn) as `ipvsadm -Lc` shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from ipvs_lb.ipvsadm.words import NUMERIC, Names, endpoint, ipv6
from ipvs_lb.model.identity import IPAddress, IPProtocol

_PROTOCOLS = {str(protocol).upper(): protocol for protocol in IPProtocol}
_FACTS = 9
_ENGINE_FACTS = 11


def render(lines: Iterable[str], *, engines: bool = False, names: Names = NUMERIC) -> Iterator[str]:
    """The lines of the kernel's file, a title first, as lines to show; *engines*: also the data of persistence engines."""
    yield "IPVS connection entries\n"
    title = f"pro expire {'state':<11} {'source':<18} {'virtual':<18} "
    yield (
        f"{title}{'destination':<18} {'pe name':<16} pe_data\n"
        if engines
        else f"{title}destination\n"
    )
    for number, line in enumerate(lines):
        words = line.split()
        if number and len(words) >= _FACTS:
            yield _row(words, engines and len(words) == _ENGINE_FACTS, names)


def _row(words: list[str], with_engine: bool, names: Names) -> str:
    protocol = _PROTOCOLS.get(words[0])
    source, virtual, destination = (
        endpoint(_address(words[place]), int(words[place + 1], 16), protocol, names)
        for place in (1, 3, 5)
    )
    minutes, seconds = divmod(int(words[8]), 60)
    head = f"{words[0]:<3} {f'{minutes:02}:{seconds:02}':<6} {words[7]:<11} {source:<18} {virtual:<18} "
    if with_engine:
        return f"{head}{destination:<16} {words[9]:<18} {words[10]}\n"
    return f"{head}{destination}\n"


def _address(text: str) -> IPAddress:
    return ipv6(text) or IPv4Address(int(text, 16))
