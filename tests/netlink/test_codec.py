"""Services, servers, daemons and the rest as bytes: what is encoded is decoded, and nothing else crashes."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.errors import CodecError
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import AddressKey, Family, IPProtocol, Port, ServerKey, ServiceKey
from ipvs_lb.model.settings import (
    Forwarding,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelChecksum,
)
from ipvs_lb.model.table import KernelInfo
from ipvs_lb.netlink import daemons, servers, services
from ipvs_lb.netlink.attributes import Attributes, attribute, attributes, nested, u8, u16, u32
from tests import strategies
from tests.netlink import answers

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
A = ServerKey(ip_address("10.0.0.4"), Port(80))
DECODERS: list[Callable[[bytes], object]] = [
    services.decode,
    services.decode_counters,
    daemons.decode,
    daemons.decode_timeouts,
    daemons.decode_info,
    lambda content: servers.decode(content, Family.IPV4),
    lambda content: servers.decode_counters(content, Family.IPV6),
]
keyed_services = strategies.virtual_services().map(lambda each: (each[0], each[1].service))
keyed_servers = strategies.service_keys().flatmap(strategies.servers_of)


def replaced(content: bytes, kind: int, payload: bytes) -> bytes:
    return b"".join(attribute(k, payload if k == kind else p) for k, p in attributes(content))


def without(content: bytes, *kinds: int) -> bytes:
    return b"".join(attribute(k, p) for k, p in attributes(content) if k not in kinds)


@given(keyed_services)
def test_a_service_is_decoded_as_it_was_encoded(each: tuple[ServiceKey, Service]) -> None:
    assert services.decode(services.encode(*each)) == each


@given(keyed_servers)
def test_a_server_is_decoded_as_it_was_encoded(each: tuple[ServerKey, Server]) -> None:
    assert servers.decode(servers.encode(*each), Family.IPV4) == each


@given(st.sampled_from(SyncRole).flatmap(strategies.sync_daemons))
def test_a_daemon_is_decoded_as_it_was_encoded(daemon: SyncDaemon) -> None:
    assert daemons.decode(daemons.encode(daemon)) == daemon


@given(strategies.timeouts)
def test_timeouts_are_decoded_as_they_were_encoded(timeouts: Timeouts) -> None:
    assert daemons.decode_timeouts(daemons.encode_timeouts(timeouts)) == timeouts


def test_a_version_is_decoded_in_its_three_parts() -> None:
    content = u32(daemons.VERSION, 0x010201) + u32(daemons.TABLE_SIZE, 4096)
    assert daemons.decode_info(content) == KernelInfo((1, 2, 1), 4096)


@given(keyed_services, st.integers(0, 2**31))
def test_wide_counters_are_preferred_to_old_ones(
    each: tuple[ServiceKey, Service], first: int
) -> None:
    content = services.encode(*each)
    old = nested(services.STATS, answers.old_counters(0))
    wide = nested(services.STATS64, answers.wide_counters(first))
    expected = Counters(
        connections=first + 1,
        in_packets=first + 2,
        out_packets=first + 3,
        in_bytes=first + 4,
        out_bytes=first + 5,
        connection_rate=first + 6,
        in_packet_rate=first + 7,
        out_packet_rate=first + 8,
        in_byte_rate=first + 9,
        out_byte_rate=first + 10,
    )
    assert services.decode_counters(content + old + wide) == (each[0], expected)


def test_a_kernel_before_wide_counters_is_understood() -> None:
    content = servers.encode(A, Server()) + nested(servers.STATS, answers.old_counters(100))
    key, counted = servers.decode_counters(content, Family.IPV4)
    assert key == A
    assert (counted.traffic.connections, counted.traffic.out_byte_rate) == (101, 110)


def test_a_server_without_counters_has_zeros() -> None:
    content = servers.encode(A, Server())
    assert servers.decode_counters(content, Family.IPV4) == (A, ServerCounters())


def test_connections_of_a_server_are_told() -> None:
    _, counted = servers.decode_counters(
        answers.server_content(A, Server(), counted=10), Family.IPV4
    )
    assert (counted.active, counted.inactive, counted.persistent) == (17, 18, 19)


def test_a_service_of_an_unknown_protocol_is_passed_over() -> None:
    content = replaced(
        services.encode(WEB, Service(scheduler="rr")), services.PROTOCOL, struct.pack("=H", 51)
    )
    assert services.decode(content) is None
    assert services.decode_counters(content) is None


def test_an_unknown_scheduler_name_is_kept() -> None:
    service = Service(scheduler="newest")
    assert services.decode(services.encode(WEB, service)) == (WEB, service)


def test_unknown_service_flags_are_ignored() -> None:
    content = replaced(
        services.encode(WEB, Service(scheduler="rr")),
        services.FLAGS,
        struct.pack("=II", 0xFFFFFFC2, 0xFFFFFFFF),
    )
    assert services.decode(content) == (WEB, Service(scheduler="rr"))


def test_flags_this_program_does_not_know_are_left_alone_in_the_kernel() -> None:
    found = Attributes("service", services.encode(WEB, Service(scheduler="rr", one_packet=True)))
    assert struct.unpack("=II", found.payload(services.FLAGS)) == (0x04, 0x3D)


@pytest.mark.parametrize("method", [5, 6, 7])
def test_an_unknown_forwarding_method_reads_as_one_that_no_config_wants(method: int) -> None:
    content = replaced(servers.encode(A, Server()), servers.METHOD, struct.pack("=I", method))
    assert servers.decode(content, Family.IPV4) == (A, Server(forwarding=Forwarding.BYPASS))


def test_an_unknown_tunnel_type_reads_as_a_method_that_no_config_wants() -> None:
    server = Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel())
    content = replaced(servers.encode(A, server), servers.TUNNEL_TYPE, b"\x09")
    assert servers.decode(content, Family.IPV4) == (A, Server(forwarding=Forwarding.BYPASS))


@pytest.mark.parametrize(
    ("flags", "checksum"),
    [
        (0xFFF8, TunnelChecksum.NONE),
        (0xFFF9, TunnelChecksum.CSUM),
        (0xFFFA, TunnelChecksum.REMCSUM),
        (3, TunnelChecksum.REMCSUM),
    ],
)
def test_unknown_tunnel_flags_are_ignored(flags: int, checksum: TunnelChecksum) -> None:
    server = Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel())
    content = replaced(servers.encode(A, server), servers.TUNNEL_FLAGS, struct.pack("=H", flags))
    _, decoded = servers.decode(content, Family.IPV4)
    assert decoded.tunnel == Tunnel(checksum=checksum)


def test_a_kernel_that_tells_no_family_and_no_tunnel_means_the_services_family_and_ipip() -> None:
    server = Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel())
    new = (servers.FAMILY, servers.TUNNEL_TYPE, servers.TUNNEL_PORT, servers.TUNNEL_FLAGS)
    assert servers.decode(without(servers.encode(A, server), *new), Family.IPV4) == (A, server)


def test_a_daemon_of_an_unknown_role_is_passed_over() -> None:
    assert daemons.decode(u32(daemons.STATE, 9)) is None


def test_a_daemon_of_an_old_kernel_has_its_defaults_left_open() -> None:
    daemon = SyncDaemon(role=SyncRole.MASTER, interface="eth0", sync_id=3)
    assert daemons.decode(daemons.encode(daemon)) == daemon


@given(keyed_services, st.integers(100, 0x3FFF), st.binary(max_size=40))
def test_unknown_attributes_are_passed_over(
    each: tuple[ServiceKey, Service], kind: int, payload: bytes
) -> None:
    unknown = attribute(kind, payload)
    assert services.decode(unknown + services.encode(*each) + unknown) == each


@given(keyed_servers, st.binary(min_size=1, max_size=12))
def test_longer_payloads_of_a_newer_kernel_are_understood(
    each: tuple[ServerKey, Server], more: bytes
) -> None:
    content = b"".join(attribute(k, p + more) for k, p in attributes(servers.encode(*each)))
    assert servers.decode(content, Family.IPV4) == each


def test_nesting_and_byte_order_flags_are_no_part_of_a_kind() -> None:
    assert list(attributes(attribute(0xC003, b"1234"))) == [(3, b"1234")]


def test_a_missing_attribute_is_named() -> None:
    with pytest.raises(CodecError, match="service without attribute 7"):
        services.decode(services.encode_key(WEB))


def test_a_short_payload_is_told_with_what_was_expected() -> None:
    content = replaced(servers.encode(A, Server()), servers.WEIGHT, b"12")
    with pytest.raises(CodecError, match="server attribute 4 has 2 bytes, expected 4"):
        servers.decode(content, Family.IPV4)


def test_a_lying_length_is_told() -> None:
    with pytest.raises(CodecError, match="attribute 1 says 99 bytes where 8 are left"):
        services.decode(struct.pack("=HHI", 99, 1, 0))


def test_a_header_cut_off_is_told() -> None:
    with pytest.raises(CodecError, match="cut off after 2 of 4"):
        services.decode(u16(services.AF, 2) + b"\x08\x00")


def test_an_address_family_that_is_neither_4_nor_6_is_told() -> None:
    with pytest.raises(CodecError, match="address family 7"):
        services.decode(u16(services.AF, 7))


def test_one_byte_values_are_padded() -> None:
    assert u8(1, 255) == struct.pack("=HHB3x", 5, 1, 255)


@given(st.binary(max_size=200))
def test_random_bytes_are_decoded_or_refused(content: bytes) -> None:
    decode_or_refuse(content)


@given(keyed_services, keyed_servers, st.integers(0, 500), st.integers(0, 255))
def test_mutated_bytes_are_decoded_or_refused(
    service: tuple[ServiceKey, Service], server: tuple[ServerKey, Server], position: int, byte: int
) -> None:
    for content in (answers.service_content(*service), answers.server_content(*server)):
        place = position % len(content)
        decode_or_refuse(content[:place] + bytes([byte]) + content[place + 1 :])
        decode_or_refuse(content[:place])


def decode_or_refuse(content: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(CodecError):
            decode(content)
