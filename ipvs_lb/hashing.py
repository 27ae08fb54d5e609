"""Which server a client's address leads to under the hashing schedulers, as the kernel builds its tables.

Simulates net/netfilter/ipvs/ip_vs_sh.c, ip_vs_dh.c and ip_vs_mh.c with their default table sizes on a 64-bit
kernel. A table is a tuple of slots; clients are spread evenly over the slots, whoever they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ipvs_lb.model.identity import IPAddress, ServerKey

HASH_SLOTS = 256
"""IP_VS_SH_TAB_SIZE and IP_VS_DH_TAB_SIZE."""

MAGLEV_SLOTS = 4093
"""IP_VS_MH_TAB_SIZE for the default CONFIG_IP_VS_MH_TAB_INDEX of 12."""

_MAGLEV_WEIGHT_BITS = 6
_MAGLEV_OFFSET_KEY = (2654435761, 2654435761)
_MAGLEV_SKIP_KEY = (2654446892, 2654446892)
_GOLDEN_RATIO_32 = 0x61C88647
_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF

Slots = tuple[ServerKey | None, ...]


@dataclass(frozen=True, slots=True)
class Weighted:
    """A server with its share: the weight, or for mh the last weight above 0 (it keeps the slots of a drained server)."""

    key: ServerKey
    weight: int


def scheduled_slots(scheduler: str, servers: Sequence[Weighted]) -> Slots:
    """The table of a hashing scheduler: sh, dh or mh."""
    tables = {"sh": source_slots, "dh": destination_slots, "mh": maglev_slots}
    return tables[scheduler](servers)


def source_slots(servers: Sequence[Weighted]) -> Slots:
    """The sh table: servers in the kernel's order, each filling as many slots as its weight (at least one), over and over."""
    if not servers:
        return (None,) * HASH_SLOTS
    one_round = [
        server.key for server in servers for _ in range(min(max(server.weight, 1), HASH_SLOTS))
    ]
    return _repeated(one_round)


def destination_slots(servers: Sequence[Weighted]) -> Slots:
    """The dh table: servers in the kernel's order, one slot each, over and over; weights do not count."""
    return _repeated([server.key for server in servers]) if servers else (None,) * HASH_SLOTS


def destination_slot(address: IPAddress) -> int:
    """The one dh slot that everything sent to *address* falls into; hashed as sh hashes clients."""
    return source_slot(address)


def source_slot(client: IPAddress) -> int:
    """The sh slot of a client, where its port does not count: hash_32() of the folded address."""
    return ((folded(client) * _GOLDEN_RATIO_32) & _U32) >> 24


def maglev_slot(client: IPAddress) -> int:
    """The mh slot of a client, where its port does not count."""
    return half_siphash(folded(client), _MAGLEV_OFFSET_KEY) % MAGLEV_SLOTS


def maglev_slots(servers: Sequence[Weighted]) -> Slots:
    """The mh table: every server claims slots in an order of its own, in turns by weight."""
    turns = _turns(servers)
    takers = [
        _Taker(server.key, count) for server, count in zip(servers, turns, strict=True) if count
    ]
    slots: list[ServerKey | None] = [None] * MAGLEV_SLOTS
    left = MAGLEV_SLOTS if takers else 0
    while left:
        for taker in takers:
            claimed = min(taker.turns, left)
            taker.claim(slots, claimed)
            left -= claimed
    return tuple(slots)


def folded(address: IPAddress) -> int:
    """An address as the 32 bits the schedulers hash; IPv6 words are combined with exclusive or."""
    whole = int(address)
    return (whole ^ whole >> 32 ^ whole >> 64 ^ whole >> 96) & _U32


class _Taker:
    """A server on its walk through the mh table."""

    __slots__ = ("key", "position", "skip", "turns")

    def __init__(self, key: ServerKey, turns: int) -> None:
        value = (folded(key.address) + key.port) & _U32
        self.key = key
        self.turns = turns
        self.position = half_siphash(value, _MAGLEV_OFFSET_KEY) % MAGLEV_SLOTS
        self.skip = half_siphash(value, _MAGLEV_SKIP_KEY) % (MAGLEV_SLOTS - 1) + 1

    def claim(self, slots: list[ServerKey | None], count: int) -> None:
        for _ in range(count):
            while slots[self.position] is not None:
                self.position = (self.position + self.skip) % MAGLEV_SLOTS
            slots[self.position] = self.key


def _turns(servers: Sequence[Weighted]) -> list[int]:
    """Slots a server takes in a row: its weight over the common divisor, shifted so that the largest stays below 64."""
    divisor = math.gcd(*(server.weight for server in servers))
    if not divisor:
        return [0] * len(servers)
    largest = max(server.weight for server in servers) // divisor
    shift = max(largest.bit_length() - _MAGLEV_WEIGHT_BITS, 0)
    return [(s.weight // divisor >> shift) or int(s.weight > 0) for s in servers]


def _repeated(one_round: Sequence[ServerKey]) -> Slots:
    return tuple(one_round[n % len(one_round)] for n in range(HASH_SLOTS))


def half_siphash(value: int, key: tuple[int, int]) -> int:
    """hsiphash() of one 32-bit value on a 64-bit kernel: SipHash-1-3 cut to 32 bits."""
    state = (
        key[0] ^ 0x736F6D6570736575,
        key[1] ^ 0x646F72616E646F6D,
        key[0] ^ 0x6C7967656E657261,
        key[1] ^ 0x7465646279746573,
    )
    block = 4 << 56 | value
    v0, v1, v2, v3 = _sip_round(state[0], state[1], state[2], state[3] ^ block)
    v0, v2 = v0 ^ block, v2 ^ 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    return (v0 ^ v1 ^ v2 ^ v3) & _U32


def _sip_round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & _U64
    v1 = _rotated(v1, 13) ^ v0
    v0 = _rotated(v0, 32)
    v2 = (v2 + v3) & _U64
    v3 = _rotated(v3, 16) ^ v2
    v0 = (v0 + v3) & _U64
    v3 = _rotated(v3, 21) ^ v0
    v2 = (v2 + v1) & _U64
    v1 = _rotated(v1, 17) ^ v2
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _U64
