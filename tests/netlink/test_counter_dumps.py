"""The counters of whole dumps: the fast way and the slow way say the same, whatever the kernel's version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.errors import CodecError
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import Family, Port, ServerKey
from ipvs_lb.model.settings import Server
from ipvs_lb.netlink import servers
from ipvs_lb.netlink.attributes import NESTED, attribute, attributes, nested
from ipvs_lb.netlink.counter_dumps import CounterDumps
from ipvs_lb.netlink.dumps import InterruptedDumpError, messages
from ipvs_lb.netlink.messages import INTERRUPTED, split
from ipvs_lb.netlink.requests import SERVER
from tests import strategies
from tests.netlink import answers

members = strategies.virtual_services(most_servers=8).map(lambda each: dict(each[1].servers))
A, B, C = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 5, 6))
THREE = {A: Server(), B: Server(weight=2), C: Server(weight=3)}
Found = dict[ServerKey, ServerCounters]


def read(datagram: bytes) -> Found:
    return CounterDumps().read([datagram], Family.IPV4)


def one_by_one(datagram: bytes) -> Found | None:
    """What the general decoder says; None when it refuses."""
    try:
        return dict(
            servers.decode_counters(content, Family.IPV4)
            for message in messages([datagram])
            for content in [dict(attributes(message.content))[SERVER]]
        )
    except (CodecError, InterruptedDumpError, KeyError):
        return None


def reshaped(datagram: bytes, reshape: Callable[[bytes], bytes]) -> bytes:
    """*datagram* with the attributes of every server changed."""
    return b"".join(
        answers.message(5, nested(SERVER, reshape(content)))
        for message in split(datagram)
        for _, content in attributes(message.content)
    )


@given(members, st.integers(0, 2**31))
def test_what_is_counted_is_read_as_it_is(found: dict[ServerKey, Server], counted: int) -> None:
    datagram = answers.server_dump(found.items(), counted=counted)
    assert read(datagram) == one_by_one(datagram)


def test_connections_and_traffic_are_where_they_belong() -> None:
    counters = read(answers.server_dump([(A, Server())], counted=100))[A]
    assert (counters.active, counters.inactive, counters.persistent) == (107, 108, 109)
    assert (counters.traffic.connections, counters.traffic.out_byte_rate) == (101, 110)


def test_idle_servers_share_their_zeros() -> None:
    datagram = reshaped(
        answers.server_dump(THREE.items()),
        lambda content: b"".join(
            attribute(kind, b"".join(attribute(n, bytes(8)) for n in range(1, 11)))
            if kind == servers.STATS64
            else attribute(kind, payload)
            for kind, payload in attributes(content)
        ),
    )
    found = read(datagram)
    assert found[A].traffic == Counters()
    assert found[A].traffic is found[B].traffic is found[C].traffic


def test_a_server_seen_in_the_last_read_is_named_by_the_same_key() -> None:
    reader, datagram = CounterDumps(), answers.server_dump(THREE.items())
    with reader.reading():
        first = list(reader.read([datagram], Family.IPV4))
    with reader.reading():
        again = list(reader.read([datagram], Family.IPV4))
    with reader.reading():
        pass
    forgotten = list(reader.read([datagram], Family.IPV4))
    assert [*map(id, first)] == [*map(id, again)]
    assert forgotten == first
    assert forgotten[0] is not first[0]


def test_several_datagrams_are_one_service() -> None:
    parts = [answers.server_dump([each]) for each in THREE.items()]
    assert CounterDumps().read(parts, Family.IPV4).keys() == THREE.keys()
    assert CounterDumps().read([], Family.IPV4) == {}


@pytest.mark.parametrize(
    "reshape",
    [
        pytest.param(lambda c: attribute(99, b"new") + c, id="an unknown attribute first"),
        pytest.param(
            lambda c: b"".join(attribute(k, p) for k, p in reversed(list(attributes(c)))),
            id="another order",
        ),
        pytest.param(
            lambda c: b"".join(attribute(k, p) for k, p in attributes(c) if k != servers.STATS64),
            id="an older kernel",
        ),
        pytest.param(
            lambda c: b"".join(attribute(k, p) for k, p in attributes(c)),
            id="no flag on what contains others",
        ),
        pytest.param(
            lambda c: b"".join(attribute(k | NESTED, p) for k, p in attributes(c)),
            id="a flag on everything",
        ),
    ],
)
def test_another_layout_is_decoded_all_the_same(reshape: Callable[[bytes], bytes]) -> None:
    datagram = reshaped(answers.server_dump(THREE.items(), counted=7), reshape)
    assert read(datagram) == one_by_one(datagram)
    assert read(datagram).keys() == THREE.keys()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_interrupted_dump_is_not_believed(position: int) -> None:
    parts = [answers.server_dump([each]) for each in THREE.items()]
    datagram = bytearray(b"".join(parts))
    datagram[position * len(parts[0]) + 6] |= INTERRUPTED
    with pytest.raises(InterruptedDumpError):
        read(bytes(datagram))


@given(members, st.integers(0, 5000), st.integers(0, 255))
def test_what_mutated_dumps_say_is_what_is_read(
    found: dict[ServerKey, Server], position: int, byte: int
) -> None:
    """The settings and the counters of old kernels excepted, which are not looked at."""
    datagram = answers.server_dump(found.items())
    size = len(datagram) // max(len(found), 1)
    place = position % (len(datagram) + 1)
    skipped = bool(found) and (8 <= place % size < 20 or 52 <= place % size < 108)
    skipped |= bool(found) and 140 <= place % size < 232
    mutated = datagram[:place] + bytes([byte]) + datagram[place + 1 :]
    with contextlib.suppress(CodecError, InterruptedDumpError):
        assert read(mutated) == one_by_one(mutated) or skipped
    with contextlib.suppress(CodecError, InterruptedDumpError):
        assert read(datagram[:place]) == one_by_one(datagram[:place])
