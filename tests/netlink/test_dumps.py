"""Whole dumps: the fast way and the slow way say the same, whatever the kernel's version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.errors import CodecError
from ipvs_lb.model.identity import Family, Port, ServerKey
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.netlink import servers
from ipvs_lb.netlink.attributes import attribute, attributes, nested, u32
from ipvs_lb.netlink.dumps import InterruptedDumpError, ServerDumps, messages, read_services
from ipvs_lb.netlink.messages import INTERRUPTED, split
from ipvs_lb.netlink.requests import SERVER
from tests import strategies
from tests.netlink import answers

members = strategies.virtual_services(most_servers=8).map(lambda each: dict(each[1].servers))
tables_of_services = st.lists(strategies.virtual_services(most_servers=0), max_size=5).map(
    lambda found: {key: virtual.service for key, virtual in found}
)
A, B, C = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 5, 6))
THREE = {A: Server(), B: Server(weight=2), C: Server(weight=3)}


def read(reader: ServerDumps, *datagrams: bytes) -> dict[ServerKey, Server]:
    return dict(reader.read(datagrams, Family.IPV4))


def reshaped(datagram: bytes, reshape: Callable[[bytes], bytes]) -> bytes:
    """*datagram* with the attributes of every server changed."""
    return b"".join(
        answers.message(5, nested(SERVER, reshape(content)))
        for message in split(datagram)
        for _, content in attributes(message.content)
    )


@given(members)
def test_servers_are_read_as_they_are(found: dict[ServerKey, Server]) -> None:
    datagram = answers.server_dump(found.items())
    assert read(ServerDumps(), datagram) == found


@given(members, members)
def test_a_second_read_sees_what_changed(
    before: dict[ServerKey, Server], after: dict[ServerKey, Server]
) -> None:
    reader = ServerDumps()
    for found in (before, after, before, after):
        with reader.reading():
            assert read(reader, answers.server_dump(found.items())) == found


def test_counters_that_moved_give_the_same_mapping_again() -> None:
    reader = ServerDumps()
    with reader.reading():
        first = reader.read([answers.server_dump(THREE.items(), counted=1)], Family.IPV4)
    again = reader.read([answers.server_dump(THREE.items(), counted=900)], Family.IPV4)
    assert first == THREE
    assert again is first


def test_what_was_not_seen_in_the_last_read_is_forgotten() -> None:
    reader, datagram = ServerDumps(), answers.server_dump(THREE.items())
    with reader.reading():
        first = reader.read([datagram], Family.IPV4)
    with reader.reading():
        pass
    again = reader.read([datagram], Family.IPV4)
    assert again == first
    assert again is not first


def test_a_server_set_over_several_datagrams_is_one() -> None:
    parts = [answers.server_dump([each]) for each in THREE.items()]
    assert read(ServerDumps(), *parts) == THREE
    assert read(ServerDumps()) == {}


@pytest.mark.parametrize(
    "reshape",
    [
        pytest.param(lambda c: attribute(99, b"new") + c, id="an unknown attribute first"),
        pytest.param(lambda c: c + attribute(99, b"new!"), id="an unknown attribute last"),
        pytest.param(
            lambda c: b"".join(attribute(k, p) for k, p in reversed(list(attributes(c)))),
            id="another order",
        ),
        pytest.param(
            lambda c: b"".join(
                attribute(k, p + bytes(4) if k == servers.WEIGHT else p) for k, p in attributes(c)
            ),
            id="a wider weight",
        ),
        pytest.param(
            lambda c: b"".join(
                attribute(k, p)
                for k, p in attributes(c)
                if k not in {servers.FAMILY, servers.TUNNEL_TYPE, servers.STATS64}
            ),
            id="an older kernel",
        ),
        pytest.param(
            lambda c: c + u32(servers.WEIGHT, 77), id="a repeated attribute: the last counts"
        ),
    ],
)
def test_another_layout_is_decoded_slowly_but_surely(reshape: Callable[[bytes], bytes]) -> None:
    datagram = reshaped(answers.server_dump(THREE.items()), reshape)
    expected = dict(
        servers.decode(content, Family.IPV4)
        for message in split(datagram)
        for _, content in attributes(message.content)
    )
    assert expected.keys() == THREE.keys()
    assert read(ServerDumps(), datagram) == expected


def test_records_of_two_layouts_in_one_datagram_are_both_read() -> None:
    first, second, third = ([each] for each in THREE.items())
    swapped = reshaped(
        answers.server_dump(second),
        lambda c: b"".join(attribute(k, p) for k, p in reversed(list(attributes(c)))),
    )
    datagram = answers.server_dump(first) + swapped + answers.server_dump(third)
    assert read(ServerDumps(), datagram) == THREE


@given(tables_of_services)
def test_services_are_read_in_their_order(found: dict[object, Service]) -> None:
    datagram = answers.service_dump(found.items())  # type: ignore[arg-type]  # keys are service keys
    assert list(read_services([datagram]).items()) == list(found.items())


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_interrupted_dump_is_not_believed(position: int) -> None:
    parts = [answers.server_dump([each]) for each in THREE.items()]
    size = len(parts[0])
    datagram = bytearray(b"".join(parts))
    datagram[position * size + 6] |= INTERRUPTED
    with pytest.raises(InterruptedDumpError):
        ServerDumps().read([bytes(datagram)], Family.IPV4)
    with pytest.raises(InterruptedDumpError):
        list(messages([bytes(datagram)]))


@given(members, st.integers(0, 5000), st.integers(0, 255))
def test_what_mutated_dumps_say_of_servers_is_what_is_read(
    found: dict[ServerKey, Server], position: int, byte: int
) -> None:
    """Counters excepted: a read of the table does not look at them."""
    datagram = answers.server_dump(found.items())
    place = position % (len(datagram) + 1)
    size = len(datagram) // max(len(found), 1)
    in_counters = bool(found) and (108 <= place % size < 132 or place % size >= 140)
    mutated = datagram[:place] + bytes([byte]) + datagram[place + 1 :]
    with contextlib.suppress(CodecError, InterruptedDumpError):
        assert read(ServerDumps(), mutated) == one_by_one(mutated) or in_counters
    with contextlib.suppress(CodecError, InterruptedDumpError):
        assert read(ServerDumps(), datagram[:place]) == one_by_one(datagram[:place])


@given(st.binary(max_size=600))
def test_random_dumps_are_read_or_refused(datagram: bytes) -> None:
    with contextlib.suppress(CodecError, InterruptedDumpError):
        assert read(ServerDumps(), datagram) == one_by_one(datagram)


def one_by_one(datagram: bytes) -> dict[ServerKey, Server] | None:
    """What the general decoder says; None when it refuses."""
    try:
        return dict(
            servers.decode(content, Family.IPV4)
            for message in messages([datagram])
            for content in [dict(attributes(message.content))[SERVER]]
        )
    except (CodecError, InterruptedDumpError, KeyError):
        return None
