"""The smtp, redis, mysql, postgres, agent and grpc methods against scripted servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.model.checks import (
    AgentCheck,
    GrpcCheck,
    MysqlCheck,
    PostgresCheck,
    RedisCheck,
    SmtpCheck,
    Tls,
)
from ipvs_lb.model.results import AgentMode, AgentReport, ErrorClass
from ipvs_lb.probes.agent import parse
from ipvs_lb.probes.failures import ProbeFailure
from ipvs_lb.probes.grpc import decode_response, encode_request
from tests.probes.servers import Authority, answering, run, saying, serving

pytestmark = pytest.mark.real_time


def conversation(*lines: bytes):
    """Greet with the first of *lines* and answer each line received with the next."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.clear()
        for line in lines:
            writer.write(line)
            await writer.drain()
            heard.append(await reader.readline())
        writer.close()

    heard: list[bytes] = []
    behaviour.heard = heard  # type: ignore[attr-defined]  # read by one test
    return behaviour


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        pytest.param((b"220 hi\r\n", b"250 ok\r\n", b"221 bye\r\n"), None, id="ehlo"),
        pytest.param((b"220-a\r\n220 b\r\n", b"250-x\r\n250 y\r\n"), None, id="several-lines"),
        pytest.param((b"220 hi\n", b"502 what\n", b"250 ok\n"), None, id="helo"),
        pytest.param((b"554 no\r\n",), ErrorClass.STATUS, id="refused-greeting"),
        pytest.param((b"220 hi\r\n", b"421 busy\r\n"), ErrorClass.STATUS, id="busy"),
        pytest.param((b"220 a\n", b"500 no\n", b"500 no\n"), ErrorClass.STATUS, id="knows-neither"),
        pytest.param((b"hello\r\n",), ErrorClass.PROTOCOL, id="no-code"),
        pytest.param((b"220-a\r\n" * 200,), ErrorClass.TOO_LARGE, id="long-greeting"),
        pytest.param((b"220 " + b"x" * 5000,), ErrorClass.TOO_LARGE, id="long-line"),
    ],
)
async def test_smtp(lines, error):
    async with serving(conversation(*lines)) as port:
        assert (await run(SmtpCheck(), port)).error is error


async def test_smtp_says_who_it_is_and_takes_leave():
    server = conversation(b"220 hi\r\n", b"250 ok\r\n", b"221 bye\r\n")
    async with serving(server) as port:
        await run(SmtpCheck(helo="gw.test"), port)
    assert server.heard[:2] == [b"EHLO gw.test\r\n", b"QUIT\r\n"]


def info(role: bytes) -> bytes:
    text = b"# Replication\r\nrole:" + role + b"\r\nslaves:0\r\n"
    return b"$%d\r\n%s\r\n" % (len(text), text)


@pytest.mark.parametrize(
    ("check", "answers", "error"),
    [
        pytest.param(RedisCheck(), (b"+PONG\r\n",), None, id="pong"),
        pytest.param(RedisCheck(), (b"-NOAUTH Authentication required.\r\n",), None, id="guarded"),
        pytest.param(RedisCheck(), (b"-LOADING busy\r\n",), ErrorClass.STATUS, id="loading"),
        pytest.param(RedisCheck(), (b"-DENIED mode\r\n",), ErrorClass.STATUS, id="denied"),
        pytest.param(RedisCheck(), (b"HTTP/1.1 400\r\n",), ErrorClass.PROTOCOL, id="http"),
        pytest.param(RedisCheck(role="master"), (b"+PONG\r\n", info(b"master")), None, id="role"),
        pytest.param(
            RedisCheck(role="master"), (b"+PONG\r\n", info(b"slave")), ErrorClass.BODY, id="other"
        ),
        pytest.param(
            RedisCheck(role="master"), (b"-NOAUTH x\r\n",), ErrorClass.STATUS, id="role-guarded"
        ),
        pytest.param(
            RedisCheck(role="master"),
            (b"+PONG\r\n", b"$999999\r\n"),
            ErrorClass.PROTOCOL,
            id="huge-info",
        ),
    ],
)
async def test_redis(check, answers, error):
    async with serving(answering(*answers)) as port:
        assert (await run(check, port)).error is error


def packet(number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes((number,)) + payload


GREETING = packet(0, b"\x0a8.0.1\0" + b"\0" * 50)


@pytest.mark.parametrize(
    ("greeting", "answers", "error"),
    [
        pytest.param(GREETING, (packet(2, b"\xff\x15\x04#28000no"),), None, id="access-denied"),
        pytest.param(GREETING, (packet(2, b"\0\0\0"),), None, id="let-in"),
        pytest.param(
            GREETING, (packet(2, b"\xfex\0"), packet(4, b"\xff\x15\x04no")), None, id="other-plugin"
        ),
        pytest.param(
            GREETING, (packet(2, b"\xff\x10\x04too many"),), ErrorClass.STATUS, id="too-many"
        ),
        pytest.param(GREETING, (packet(2, b"\x77"),), ErrorClass.PROTOCOL, id="no-authentication"),
        pytest.param(packet(0, b"\xff\x69\x04blocked"), (), ErrorClass.STATUS, id="blocked"),
        pytest.param(packet(0, b"\x09old\0"), (), ErrorClass.PROTOCOL, id="protocol-9"),
        pytest.param(b"\0\0\0\0", (), ErrorClass.PROTOCOL, id="empty-packet"),
        pytest.param(b"\xff\xff\xff\0", (), ErrorClass.PROTOCOL, id="huge-packet"),
    ],
)
async def test_mysql(greeting, answers, error):
    async def behaviour(reader, writer):
        writer.write(greeting)
        await answering(*answers)(reader, writer)

    async with serving(behaviour) as port:
        assert (await run(MysqlCheck(), port)).error is error


async def test_mysql_stops_a_server_that_never_stops_asking():
    async def behaviour(reader, writer):
        writer.write(GREETING)
        await answering(*[packet(2, b"\x01more")] * 20)(reader, writer)

    async with serving(behaviour) as port:
        assert (await run(MysqlCheck(), port)).error is ErrorClass.PROTOCOL


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"N", None),
        (b"S", None),
        (b"EFATAL: sorry, too many clients\0", ErrorClass.STATUS),
        (b"X", ErrorClass.PROTOCOL),
    ],
)
async def test_postgres(answer, error):
    async with serving(answering(answer)) as port:
        assert (await run(PostgresCheck(), port)).error is error


@pytest.mark.parametrize(
    ("line", "report"),
    [
        (b"up\n", AgentReport(up=True)),
        (b"ready\r\n", AgentReport(mode=AgentMode.READY)),
        (b"UP 75% Ready\n", AgentReport(up=True, percent=75, mode=AgentMode.READY)),
        (b"up,drain", AgentReport(up=True, mode=AgentMode.DRAIN)),
        (b"maint # weekly\n", AgentReport(mode=AgentMode.MAINT, reason="weekly")),
        (b"maxconn:30 50%\nrubbish", AgentReport(percent=50)),
        (b"999999%\n", AgentReport(percent=1000)),
    ],
)
async def test_an_agent_is_believed(line, report):
    async with serving(saying(line)) as port:
        result = await run(AgentCheck(), port)
    assert result.passed
    assert result.agent == report


@pytest.mark.parametrize("word", ["down", "fail", "stopped"])
async def test_an_agent_that_says_down_fails_with_its_reason(word):
    async with serving(saying(f"{word} 0% #disk \x1b full\n".encode())) as port:
        result = await run(AgentCheck(), port)
    assert result.error is ErrorClass.AGENT_DOWN
    assert result.detail == "the agent says down disk full"
    assert result.agent == AgentReport(up=False, percent=0, reason="disk full")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"", ErrorClass.CLOSED),
        (b"\n", ErrorClass.CLOSED),
        (b"fine\n", ErrorClass.PROTOCOL),
        (b"-5%\n", ErrorClass.PROTOCOL),
        (b"up " * 2000, ErrorClass.TOO_LARGE),
    ],
)
async def test_an_agent_that_makes_no_sense_fails(line, error):
    async with serving(saying(line)) as port:
        assert (await run(AgentCheck(), port)).error is error


async def test_an_agent_is_asked_what_the_check_says():
    async with serving(answering(b"up\n")) as port:
        assert (await run(AgentCheck(send=b"web\n"), port)).passed


def outcome(read: Callable[[bytes], object], received: bytes) -> object:
    """The type of what *read* makes of it, or the class of the failure."""
    try:
        return type(read(received))
    except ProbeFailure as failure:
        return failure.error


@given(st.binary(max_size=80))
def test_any_line_of_an_agent_is_a_report_or_a_failure(line):
    assert outcome(parse, line) in {AgentReport, ErrorClass.PROTOCOL}


@pytest.mark.parametrize(
    ("service", "framed"),
    [
        ("", "0000000000"),
        ("a", "00000000030a0161"),
        ("b" * 200, "00000000cb0ac801" + "62" * 200),
    ],
)
def test_a_grpc_request_names_the_service(service, framed):
    assert encode_request(service).hex() == framed


def test_a_grpc_response_is_a_state():
    assert decode_response(bytes.fromhex("00000000020801")) == 1
    assert decode_response(bytes.fromhex("0000000000")) == 0


@given(st.binary(max_size=16))
def test_any_grpc_response_is_a_state_or_a_protocol_failure(framed):
    assert outcome(decode_response, framed) in {int, ErrorClass.PROTOCOL}


def grpc_server(*steps):
    """An HTTP/2 server that answers the first request by doing *steps* with h2."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import StreamEnded

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaker = H2Connection(H2Configuration(client_side=False))
        speaker.initiate_connection()
        while piece := await reader.read(65536):
            for event in speaker.receive_data(piece):
                if isinstance(event, StreamEnded):
                    for step in steps:
                        step(speaker, event.stream_id)
            writer.write(speaker.data_to_send())
            await writer.drain()

    return behaviour


def headers(*fields, ends=False):
    return lambda speaker, stream: speaker.send_headers(stream, fields, end_stream=ends)


def message(payload: bytes, ends=False):
    return lambda speaker, stream: speaker.send_data(stream, payload, end_stream=ends)


HTTP_OK = headers((":status", "200"), ("content-type", "application/grpc"))
SERVING = message(bytes.fromhex("00000000020801"))
GRPC_OK = headers(("grpc-status", "0"), ends=True)


@pytest.mark.parametrize(
    ("steps", "error", "detail"),
    [
        pytest.param((HTTP_OK, SERVING, GRPC_OK), None, "", id="serving"),
        pytest.param(
            (HTTP_OK, message(bytes.fromhex("00000000020802")), GRPC_OK),
            ErrorClass.STATUS,
            "health is NOT_SERVING, expected SERVING",
            id="not-serving",
        ),
        pytest.param(
            (headers((":status", "200"), ("grpc-status", "12"), ends=True),),
            ErrorClass.STATUS,
            'gRPC status "12" "", expected 0',
            id="unimplemented",
        ),
        pytest.param(
            (headers((":status", "404"), ends=True),),
            ErrorClass.STATUS,
            'HTTP status "404", expected 200',
            id="not-grpc",
        ),
        pytest.param(
            (HTTP_OK, message(b"x" * 5000)),
            ErrorClass.TOO_LARGE,
            "a message of more than 4096 bytes",
            id="large",
        ),
        pytest.param(
            (HTTP_OK, GRPC_OK),
            ErrorClass.PROTOCOL,
            "not one uncompressed gRPC message",
            id="empty",
        ),
        pytest.param(
            (lambda speaker, stream: speaker.reset_stream(stream, 7),),
            ErrorClass.RESET,
            "HTTP/2 error 7",
            id="reset",
        ),
        pytest.param(
            (lambda speaker, stream: speaker.close_connection(2),),
            ErrorClass.RESET,
            "HTTP/2 error 2",
            id="goaway",
        ),
    ],
)
async def test_grpc(steps, error, detail):
    async with serving(grpc_server(*steps)) as port:
        result = await run(GrpcCheck(), port)
    assert (result.error, result.detail) == (error, detail)


async def test_grpc_in_tls(tmp_path):
    context = Authority(tmp_path).server("x")
    context.set_alpn_protocols(["h2"])
    async with serving(grpc_server(HTTP_OK, SERVING, GRPC_OK), tls=context) as port:
        assert (await run(GrpcCheck(tls=Tls()), port)).passed


async def test_an_http_1_server_does_not_speak_grpc():
    async with serving(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        result = await run(GrpcCheck(), port)
    assert result.error is ErrorClass.PROTOCOL
    assert result.detail.startswith("not HTTP/2")
