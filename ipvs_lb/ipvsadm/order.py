"""The order in which ipvsadm lists services and servers.

It compares numbers by subtracting them in 32 bits, so that 200.0.0.1 stands before 10.0.0.1: what differs by 2**31 or
more comes out the other way round, and three values may each stand before the next. The result then depends on how it
is sorted, which glibc's qsort(3) does by merging halves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ipvs_lb.model.identity import AddressKey, Family, IPAddress, ServerKey, ServiceKey
from ipvs_lb.model.table import Table, VirtualService

Item = TypeVar("Item")
_WORD, _HALF = 1 << 32, 1 << 31
_Words = tuple[int, ...]


def sort(table: Table) -> Table:
    """*table* with services and servers in ipvsadm's order."""
    services = _sorted([(_service(key), key) for key in table.services], _compare)
    return replace(table, services={key: _sort_servers(table.services[key]) for _, key in services})


def _sort_servers(virtual: VirtualService) -> VirtualService:
    keys = _sorted([(_server(key), key) for key in virtual.servers], _compare_servers)
    return replace(virtual, servers={key: virtual.servers[key] for _, key in keys})


def _sorted(items: Sequence[Item], compare: Callable[[Item, Item], int]) -> Sequence[Item]:
    """*items* merged from their sorted halves, the left one first where *compare* finds no difference."""
    if len(items) <= 1:
        return items
    half = len(items) // 2
    left, right = _sorted(items[:half], compare), _sorted(items[half:], compare)
    merged: list[Item] = []
    i = j = 0
    while i < len(left) and j < len(right):
        if compare(left[i], right[j]) <= 0:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return [*merged, *left[i:], *right[j:]]


def _compare(one: tuple[_Words, ServiceKey], other: tuple[_Words, ServiceKey]) -> int:
    return _difference(one[0], other[0])


def _compare_servers(one: tuple[_Words, ServerKey], other: tuple[_Words, ServerKey]) -> int:
    """Of an IPv6 address only the beginning counts against an IPv4 address to its left."""
    if one[1].family is Family.IPV6:
        return _difference(one[0], other[0])
    return _difference((one[0][0], one[0][-1]), (other[0][0], other[0][-1]))


def _difference(one: _Words, other: _Words) -> int:
    """What a C int has of the first difference."""
    for a, b in zip(one, other, strict=True):
        if a != b:
            return (a - b + _HALF) % _WORD - _HALF
    return 0


def _service(key: ServiceKey) -> _Words:
    if isinstance(key, AddressKey):
        return (0, key.family, key.protocol, *_address(key.address), key.port)
    return (key.mark, key.family, 0, 0, 0, 0, 0, 0)


def _server(key: ServerKey) -> _Words:
    return (*_address(key.address), key.port)


def _address(address: IPAddress) -> _Words:
    packed = address.packed.ljust(16, b"\0")
    return tuple(int.from_bytes(packed[start : start + 4], "big") for start in range(0, 16, 4))
