"""The dns method: one question over UDP, answered without error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ipvs_lb.model.checks import DnsCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure, printable, quoted
from ipvs_lb.probes.udp import Datagrams, datagrams
from ipvs_lb.probes.wire import Finding, Wire

if TYPE_CHECKING:
    from dns.message import Message


_MAX_ANSWER = 4096  # 512 is what a question without EDNS allows (RFC 1035, section 4.2.1)


async def probe_dns(check: DnsCheck, wire: Wire) -> Finding:
    """Pass when the question is answered with NOERROR and, if asked for, with the wanted record.

    Answers to other questions are ignored; several wrong ones are a failure.
    """
    question = _question(check)
    async with datagrams(wire) as exchange:
        await exchange.send(question.to_wire())
        answer = await _answer(exchange, question)
    return _judge(check, answer)


def _question(check: DnsCheck) -> Message:
    from dns.exception import DNSException
    from dns.message import make_query

    try:
        return make_query(check.name, check.record_type)
    except (DNSException, ValueError) as error:
        raise ProbeFailure(ErrorClass.CHECK, f"DNS question: {printable(str(error))}") from error


async def _answer(exchange: Datagrams, question: Message) -> Message:
    from dns.exception import DNSException
    from dns.message import from_wire

    while True:
        datagram = await exchange.receive()
        if len(datagram) > _MAX_ANSWER:
            raise ProbeFailure(ErrorClass.TOO_LARGE, f"an answer of {len(datagram)} bytes")
        try:
            answer = from_wire(datagram)
        except (DNSException, ValueError, IndexError) as error:
            what = type(error).__name__
            raise ProbeFailure(ErrorClass.PROTOCOL, f"not a DNS message ({what})") from error
        if question.is_response(answer):
            return answer
        await asyncio.sleep(0)  # a flood of stray answers must not hold up the loop


def _judge(check: DnsCheck, answer: Message) -> Finding:
    from dns import flags, rcode

    code = answer.rcode()
    if code != rcode.NOERROR:
        raise ProbeFailure(ErrorClass.DNS, f"the answer is {rcode.to_text(code)}")
    records = [record.to_text() for rrset in answer.answer for record in rrset]
    if check.answer is None or any(_same(check.answer, record) for record in records):
        return Finding(detail=f"{len(records)} records")
    cut = ", and the answer is truncated" if answer.flags & flags.TC else ""
    raise ProbeFailure(
        ErrorClass.BODY, f"{quoted(check.answer)} is not among {len(records)} records{cut}"
    )


def _same(wanted: str, record: str) -> bool:
    """Names compare without case and final dot, texts without their quotes."""
    return _plain(wanted) == _plain(record)


def _plain(text: str) -> str:
    return text.strip('"').rstrip(".").lower()
