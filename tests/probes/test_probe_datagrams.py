"""The udp and dns methods, and what of ping needs no rights."""

from __future__ import annotations

import socket

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.model.checks import DnsCheck, UdpCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.ping import echo_request, is_reply
from ipvs_lb.probes.udp import matches
from tests.probes.servers import datagram_server, free_port, run

pytestmark = pytest.mark.real_time


async def test_udp_without_an_expected_answer_takes_silence_for_health():
    async with datagram_server(lambda _: []) as port:
        result = await run(UdpCheck(payload=b"?"), port, timeout=0.3)
    assert result.passed
    assert result.detail == "no answer, none needed"
    assert 0.2 < result.timings.total < 0.3


async def test_udp_without_an_expected_answer_is_done_with_any():
    async with datagram_server(lambda _: [b"!"]) as port:
        result = await run(UdpCheck(payload=b"?"), port, timeout=5)
    assert result.passed
    assert result.timings.total < 1


@pytest.mark.parametrize("check", [UdpCheck(), UdpCheck(payload=b"?", expect=b"!"), DnsCheck()])
async def test_a_closed_udp_port_is_refused(check):
    result = await run(check, free_port(socket.SOCK_DGRAM), timeout=1)
    assert result.error is ErrorClass.REFUSED


async def test_udp_compares_the_answer():
    async with datagram_server(lambda payload: [payload.upper()]) as port:
        assert (await run(UdpCheck(payload=b"ping", expect=b"PING"), port)).passed
        other = await run(UdpCheck(payload=b"x\n", expect=b"PING"), port)
    assert other.error is ErrorClass.BODY
    assert other.detail == 'the answer differs from the expected one: "X"'


async def test_udp_that_needs_an_answer_times_out_without_one():
    async with datagram_server(lambda _: []) as port:
        result = await run(UdpCheck(expect=b"!"), port, timeout=0.1)
    assert result.error is ErrorClass.TIMEOUT


@pytest.mark.parametrize(
    ("answer", "expected", "mask", "same"),
    [
        (b"\x12\x34", b"\x12\x34", None, True),
        (b"\x12\x34\x56", b"\x12\x34", None, False),
        (b"\x12\x34\x56", b"\x12\x34", b"\xff\xff", True),
        (b"\x12\x34", b"\x12\x00", b"\xff\x00", True),
        (b"\x12\x34", b"\x1f\x34", b"\xf0", True),
        (b"\x12\x35", b"\x12\x34", b"\xf0", False),
        (b"\x12", b"\x12\x34", b"\xff\x00", False),
        (b"anything", b"", b"", True),
    ],
)
def test_a_mask_says_which_bits_count(answer, expected, mask, same):
    assert matches(answer, expected, mask) is same


def name_server(*records: str, code: int = dns.rcode.NOERROR, flags: int = 0):
    def reply(payload: bytes) -> list[bytes]:
        answer = dns.message.make_response(dns.message.from_wire(payload))
        answer.set_rcode(dns.rcode.Rcode(code))
        answer.flags |= dns.flags.Flag(flags)
        question = answer.question[0]
        if records:
            answer.answer.append(
                dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *records)
            )
        return [answer.to_wire()]

    return reply


@pytest.mark.parametrize(
    ("check", "reply", "error"),
    [
        pytest.param(DnsCheck(), name_server(), None, id="no-error"),
        pytest.param(
            DnsCheck(name="a.test", record_type="A", answer="192.0.2.1"),
            name_server("192.0.2.9", "192.0.2.1"),
            None,
            id="address",
        ),
        pytest.param(
            DnsCheck(name="a.test", record_type="CNAME", answer="B.test"),
            name_server("b.test."),
            None,
            id="name",
        ),
        pytest.param(
            DnsCheck(name="a.test", record_type="TXT", answer="ok"),
            name_server('"ok"'),
            None,
            id="text",
        ),
        pytest.param(
            DnsCheck(name="a.test", record_type="A", answer="192.0.2.1"),
            name_server("192.0.2.9"),
            ErrorClass.BODY,
            id="other-address",
        ),
        pytest.param(
            DnsCheck(), name_server(code=dns.rcode.SERVFAIL), ErrorClass.DNS, id="servfail"
        ),
        pytest.param(DnsCheck(), name_server(code=dns.rcode.REFUSED), ErrorClass.DNS, id="refused"),
        pytest.param(DnsCheck(), lambda _: [b"garbage"], ErrorClass.PROTOCOL, id="garbage"),
        pytest.param(DnsCheck(), lambda _: [b"x" * 5000], ErrorClass.TOO_LARGE, id="large"),
        pytest.param(DnsCheck(record_type="NOPE"), name_server(), ErrorClass.CHECK, id="no-type"),
        pytest.param(DnsCheck(name="a..b"), name_server(), ErrorClass.CHECK, id="no-name"),
        pytest.param(DnsCheck(name="x" * 70), name_server(), ErrorClass.CHECK, id="long-label"),
    ],
)
async def test_dns(check, reply, error):
    async with datagram_server(reply) as port:
        assert (await run(check, port)).error is error


async def test_a_dns_answer_to_another_question_is_not_heard():
    def reply(payload: bytes) -> list[bytes]:
        (good,) = name_server()(payload)
        return [bytes((good[0] ^ 255,)) + good[1:], good]

    async with datagram_server(reply) as port:
        assert (await run(DnsCheck(), port)).passed


async def test_a_flood_of_other_answers_is_cut():
    def reply(payload: bytes) -> list[bytes]:
        (good,) = name_server()(payload)
        return [bytes((good[0] ^ 255,)) + good[1:]] * 100

    async with datagram_server(reply) as port:
        assert (await run(DnsCheck(), port)).error is ErrorClass.TOO_LARGE


async def test_a_truncated_answer_is_named():
    check = DnsCheck(name="a.test", record_type="A", answer="192.0.2.1")
    async with datagram_server(name_server(flags=dns.flags.TC)) as port:
        result = await run(check, port)
    assert result.detail.endswith("and the answer is truncated")


NONCE = bytes(range(24))


def test_an_icmp_echo_carries_a_valid_checksum():
    sent = echo_request(4, NONCE)
    total = sum(int.from_bytes(sent[i : i + 2], "big") for i in range(0, len(sent), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


@pytest.mark.parametrize("version", [4, 6])
def test_only_the_reply_to_our_own_echo_counts(version):
    kind = bytes((0 if version == 4 else 129, 0))
    reply = kind + bytes(6) + NONCE
    assert is_reply(version, reply, NONCE)
    assert not is_reply(version, kind + bytes(6) + NONCE[::-1], NONCE)
    assert not is_reply(version, echo_request(version, NONCE), NONCE)


def test_a_raw_socket_s_ipv4_header_is_skipped():
    assert is_reply(4, b"\x46" + bytes(23) + b"\0\0" + bytes(6) + NONCE, NONCE)


@given(st.sampled_from([4, 6]), st.binary(max_size=64))
def test_no_packet_upsets_the_reader(version, packet):
    assert is_reply(version, packet, NONCE) in {True, False}
