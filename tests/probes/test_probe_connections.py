"""The tcp method, what every connecting method shares, and servers that mean harm."""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import IPv4Address, IPv6Address

import pytest

from ipvs_lb.model.checks import (
    AgentCheck,
    GrpcCheck,
    HealthCheck,
    HttpCheck,
    Method,
    MysqlCheck,
    PostgresCheck,
    RedisCheck,
    SctpCheck,
    SmtpCheck,
    TcpCheck,
    Tls,
    TlsCheck,
)
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import Probe, bound
from ipvs_lb.model.results import ErrorClass, Target
from ipvs_lb.probes import execute
from tests.probes.servers import (
    LOOPBACK,
    answering,
    dripping,
    early_close,
    flooding,
    free_port,
    reset,
    run,
    saying,
    serving,
    silence,
)

pytestmark = pytest.mark.real_time

BANNER = TcpCheck(expect=b"hello")
TALKING: list[Method] = [
    BANNER,
    HttpCheck(),
    HttpCheck(tls=Tls()),
    TlsCheck(),
    SmtpCheck(),
    GrpcCheck(),
    GrpcCheck(tls=Tls()),
    RedisCheck(),
    MysqlCheck(),
    PostgresCheck(),
    AgentCheck(send=b"?\n"),
]
IDS = [
    type(method).__name__ + ("-tls" if getattr(method, "tls", None) else "") for method in TALKING
]
every_method = pytest.mark.parametrize("method", TALKING, ids=IDS)


async def test_a_connection_is_enough():
    async with serving(silence) as port:
        result = await run(TcpCheck(), port)
    assert result.passed
    assert result.timings.connect is not None
    assert result.timings.connect <= result.timings.total < 1
    assert result.timings.first_byte is None


async def test_an_expected_answer_may_come_in_pieces():
    async with serving(saying(b"he", b"llo", pause=0.01)) as port:
        result = await run(BANNER, port)
    assert result.passed
    assert result.timings.first_byte is not None


async def test_what_is_sent_arrives():
    async with serving(answering(b"hello")) as port:
        assert (await run(TcpCheck(send=b"hi", expect=b"hello"), port)).passed


async def test_another_answer_is_a_failure_that_quotes_it_harmlessly():
    async with serving(saying(b"\x1b[31mgood\nbye\x00")) as port:
        result = await run(BANNER, port)
    assert result.error is ErrorClass.BODY
    assert result.detail == '"hello" is not in the answer "[31mgood bye"'


async def test_an_unexpected_answer_is_read_up_to_a_limit():
    async with serving(flooding(b"", b"x" * 4096)) as port:
        result = await run(BANNER, port)
    assert result.error is ErrorClass.BODY
    assert len(result.detail) <= 200


@every_method
async def test_nobody_listening_is_refused(method):
    result = await run(method, free_port())
    assert result.error is ErrorClass.REFUSED
    assert result.detail == "connecting: Connection refused"
    assert result.timings.connect is None


@every_method
async def test_a_server_that_says_nothing_runs_into_the_timeout(method):
    async with serving(silence) as port:
        result = await run(method, port, timeout=0.2)
    assert result.error is ErrorClass.TIMEOUT
    assert result.detail.startswith("no result after 0.2 s, while ")
    assert 0.2 <= result.timings.total < 1


@every_method
async def test_a_server_that_closes_at_once_is_told_from_one_that_is_silent(method):
    async with serving(early_close) as port:
        result = await run(method, port)
    tls = isinstance(method, TlsCheck) or getattr(method, "tls", None)
    assert result.error is (ErrorClass.TLS if tls else ErrorClass.CLOSED)


@every_method
async def test_a_server_that_aborts_the_connection_is_reset(method):
    if method is BANNER:
        method = TcpCheck(send=b"x", expect=b"hello")
    waits_for_us = not isinstance(method, SmtpCheck | MysqlCheck)
    async with serving(reset if waits_for_us else _reset_at_once) as port:
        result = await run(method, port)
    assert result.error is ErrorClass.RESET


async def _reset_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.05)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@every_method
async def test_garbage_is_a_protocol_failure(method):
    async with serving(saying(b"\x00\xff\xfe garbage \x80\n" * 20, then_close=False)) as port:
        result = await run(method, port, timeout=0.5)
    tls = isinstance(method, TlsCheck) or getattr(method, "tls", None)
    expected = ErrorClass.TLS if tls else ErrorClass.PROTOCOL
    assert result.error is (ErrorClass.TIMEOUT if method is BANNER else expected)


@every_method
@pytest.mark.parametrize(
    "junk", [b"\x00", b"\xff", b"A", b"220-x\r\n", b"$1\r\n", b"\n", b"A: b\r\n"]
)
async def test_an_endless_answer_ends_the_probe_not_the_program(method, junk):
    async with serving(flooding(b"", junk * 4096)) as port:
        result = await run(method, port, timeout=1.0)
    assert not result.passed
    assert result.error not in {ErrorClass.LOCAL, ErrorClass.CHECK}
    assert result.timings.total < 1.2


@every_method
async def test_one_byte_now_and_then_does_not_extend_the_timeout(method):
    first = {
        SmtpCheck: b"220-",
        MysqlCheck: b"\x40\0\0\0\x0a",
        RedisCheck: b"+",
        AgentCheck: b"up ",
    }
    text = first.get(type(method), b"") + b"HTTP/1.1 200 OK\r\n" * 10
    if isinstance(method, TlsCheck | GrpcCheck) or getattr(method, "tls", None):
        text = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + b"\0" * 200
    if isinstance(method, GrpcCheck) and not method.tls:
        text = b"\0\0\x40\x04\0\0\0\0\0" + b"\0" * 200
    if isinstance(method, PostgresCheck):
        text = b"E" + text  # an error whose text is what drips
    async with serving(dripping(text)) as port:
        result = await run(method, port, timeout=0.4)
    assert result.error in {ErrorClass.TIMEOUT, ErrorClass.STATUS}
    assert result.timings.total < 1


async def test_a_listener_that_never_accepts_is_caught_by_an_expected_answer():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        result = await run(HttpCheck(), listener.getsockname()[1], timeout=0.2)
    assert result.error is ErrorClass.TIMEOUT
    assert "waiting for the answer" in result.detail


async def test_a_flooding_server_does_not_hold_up_the_event_loop():
    """Tiny HTTP/2 frames and tiny chunks are what costs most to read for what it costs to send."""
    ping = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    loop = asyncio.get_running_loop()
    gaps = [0.0]

    async def watch() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)

    watcher = asyncio.create_task(watch())
    settings = b"\0\0\0\x04\0\0\0\0\0"
    async with serving(flooding(settings, ping * 500)) as port:
        assert (await run(GrpcCheck(), port)).error is ErrorClass.TOO_LARGE
    async with serving(flooding(head, b"1\r\nx\r\n" * 5000)) as port:
        check = HttpCheck(body_contains="needle")
        assert (await run(check, port)).error is ErrorClass.BODY
    watcher.cancel()
    assert max(gaps) < 0.5  # generous: the server is in this process too


async def test_a_probe_leaves_no_connection_behind():
    async with serving(silence) as port:
        await asyncio.gather(*(run(TcpCheck(), port) for _ in range(20)))
        assert _sockets_in_time_wait(port) == 0


def _sockets_in_time_wait(port: int) -> int:
    with open("/proc/net/tcp") as table:  # noqa: PTH123  # a file of the kernel
        rows = [line.split() for line in list(table)[1:]]
    return sum(row[3] == "06" and f":{port:04X}" in row[1] + row[2] for row in rows)


async def test_no_file_descriptor_is_left_open_by_probes_that_fail():
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names are enough
    async with serving(silence) as port:
        for method in TALKING:
            await run(method, port, timeout=0.02)
            await run(method, free_port())
    await asyncio.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208  # names are enough


async def test_cancelling_a_probe_comes_out_as_cancellation():
    async with serving(silence) as port:
        task = asyncio.create_task(run(HttpCheck(), port))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_check_s_own_address_and_port_come_first():
    async with serving(silence) as port:
        check = HealthCheck(method=TcpCheck(), address=LOOPBACK, port=Port(port))
        assert (await execute(bound(check, Target(IPv4Address("127.0.0.99"), Port(1))))).passed


async def test_the_source_address_is_the_one_asked_for():
    seen: list[str] = []

    async def note(_reader, writer):
        seen.append(writer.get_extra_info("peername")[0])

    async with serving(note) as port:
        result = await run(TcpCheck(), port, source=IPv4Address("127.0.0.77"))
        await asyncio.sleep(0.05)
    assert result.passed
    assert seen == ["127.0.0.77"]


async def test_a_source_address_that_is_not_ours_is_our_own_trouble():
    async with serving(silence) as port:
        result = await run(TcpCheck(), port, source=IPv4Address("192.0.2.1"))
    assert result.error is ErrorClass.LOCAL
    assert result.detail == "starting: Cannot assign requested address"


async def test_a_source_address_of_the_other_family_is_the_check_s_mistake():
    result = await run(TcpCheck(), 1, source=IPv6Address("::1"))
    assert result.error is ErrorClass.CHECK


async def test_without_a_port_there_is_nothing_to_connect_to():
    result = await run(TcpCheck(), 0)
    assert result.error is ErrorClass.CHECK
    assert "port" in result.detail


async def test_ipv6_is_probed_the_same_way():
    async with serving(silence, host="::1") as port:
        check = HealthCheck(method=TcpCheck())
        assert (await execute(Probe(check, Target(IPv6Address("::1"), Port(port))))).passed


def _has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


async def test_a_kernel_without_sctp_is_our_own_trouble():
    """What there is with it, netns_tests/test_probes.py shows on a kernel that has it."""
    result = await run(SctpCheck(), 9)
    told = (ErrorClass.LOCAL, "this machine's kernel has no SCTP: modprobe sctp")
    refused = (ErrorClass.REFUSED, "connecting: Connection refused")
    assert (result.error, result.detail) == (refused if _has_sctp() else told)
