"""The prober finds what executing each probe alone finds, and keeps the law of its port."""

import asyncio
import errno
import random
import resource
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.model.checks import ExecCheck, HealthCheck, HttpCheck, TcpCheck
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result, Target
from ipvs_lb.probes import execute
from ipvs_lb.probes.fast.route import route
from ipvs_lb.probes.prober import LoopProber, raise_fd_limit
from tests.probes.servers import (
    LOOPBACK,
    answering,
    dripping,
    early_close,
    flooding,
    free_port,
    reset,
    saying,
    serving,
    silence,
)

pytestmark = pytest.mark.real_time
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def probe_to(port, method, *, timeout=1.0, address=LOOPBACK, **settings):
    check = HealthCheck(method=method, timeout=timeout, **settings)
    return Probe(check, Target(address, Port(port)))


@asynccontextmanager
async def probers(**settings):
    prober = LoopProber(**settings)
    try:
        yield prober
    finally:
        prober.close()
        await asyncio.sleep(0)


def open_files():
    return {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}


async def outcome(prober, probe):
    future = asyncio.get_running_loop().create_future()
    prober.start(probe, future.set_result)
    return await asyncio.wait_for(future, 5)


async def found_by_both(probe):
    """What the prober found, once it is sure that executing the probe alone finds the same."""
    async with probers() as prober:
        fast = await outcome(prober, probe)
    alone = await execute(probe)
    assert (fast.error, fast.detail) == (alone.error, alone.detail)
    for phase in ("connect", "first_byte"):
        assert (getattr(fast.timings, phase) is None) == (getattr(alone.timings, phase) is None)
    return fast


async def test_an_open_port_passes():
    async with serving(silence) as port:
        result = await found_by_both(probe_to(port, TcpCheck()))
    assert result.passed
    assert 0 < result.timings.connect <= result.timings.total < 1


async def test_a_closed_port_is_refused():
    result = await found_by_both(probe_to(free_port(), TcpCheck()))
    assert (result.error, result.detail) == (ErrorClass.REFUSED, "connecting: Connection refused")


async def test_a_port_that_would_connect_to_itself_is_refused():
    port = unused_ephemeral_port()
    async with probers() as prober:
        results = [
            await outcome(prober, probe_to(port, TcpCheck(), source=LOOPBACK)) for _ in range(50)
        ]
    assert {result.error for result in results} == {ErrorClass.REFUSED}


def unused_ephemeral_port():
    low, high = map(int, PORT_RANGE.read_text().split())
    return next(port for port in range(high, low, -1) if not listens(port))


def listens(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


async def test_a_full_backlog_times_out():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        target = listener.getsockname()
        with socket.socket() as first, socket.socket() as second:
            for sock in (first, second):
                sock.setblocking(False)
                assert sock.connect_ex(target) in {0, errno.EINPROGRESS}
            await asyncio.sleep(0.05)
            result = await found_by_both(probe_to(target[1], TcpCheck(), timeout=0.2))
    assert (result.error, result.detail) == (
        ErrorClass.TIMEOUT,
        "no result after 0.2 s, while connecting",
    )


async def test_a_connection_that_is_aborted_at_once_is_seen_as_it_is():
    async with serving(reset) as port:
        result = await found_by_both(probe_to(port, HttpCheck()))
    assert result.error is ErrorClass.RESET


@pytest.mark.parametrize(
    ("behaviour", "check", "error"),
    [
        pytest.param(answering(OK), HttpCheck(), None, id="ok"),
        pytest.param(dripping(OK, every=0.001), HttpCheck(), None, id="drop-by-drop"),
        pytest.param(answering(OK), HttpCheck(body_contains="hell"), None, id="body"),
        pytest.param(answering(OK), HttpCheck(body_contains="x"), ErrorClass.BODY, id="other-body"),
        pytest.param(
            answering(OK), HttpCheck(expect_codes=((500, 599),)), ErrorClass.STATUS, id="status"
        ),
        pytest.param(
            answering(b"HTTP/1.1 404 No\r\n\r\n"), HttpCheck(), ErrorClass.STATUS, id="not-found"
        ),
        pytest.param(
            answering(b"HTTP/1.1 204 No\r\n\r\n"),
            HttpCheck(expect_codes=((200, 200), (204, 206))),
            None,
            id="second-range",
        ),
        pytest.param(answering(b"SSH-2.0-x\r\n"), HttpCheck(), ErrorClass.PROTOCOL, id="ssh"),
        pytest.param(early_close, HttpCheck(), ErrorClass.CLOSED, id="closed"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nServer"), HttpCheck(), ErrorClass.CLOSED, id="cut-short"
        ),
        pytest.param(silence, HttpCheck(), ErrorClass.TIMEOUT, id="silent"),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\n", then_close=False),
            HttpCheck(),
            ErrorClass.TIMEOUT,
            id="stalled",
        ),
        pytest.param(
            answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), HttpCheck(), None, id="interim"
        ),
        pytest.param(
            flooding(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 100),
            HttpCheck(),
            ErrorClass.TOO_LARGE,
            id="endless-head",
        ),
        pytest.param(
            flooding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 999),
            HttpCheck(body_contains="b", body_limit=4096),
            ErrorClass.BODY,
            id="endless-body",
        ),
        pytest.param(
            flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
            HttpCheck(),
            ErrorClass.TOO_LARGE,
            id="endless-interim-answers",
        ),
    ],
)
async def test_http_answers_mean_the_same(behaviour, check, error):
    async with serving(behaviour) as port:
        result = await found_by_both(probe_to(port, check, timeout=0.4))
    assert result.error is error


async def test_answers_in_random_pieces_mean_the_same():
    rng = random.Random(11)
    lines = [b"A: b\r\n", b"\r\n", b"Content-Length: 2\r\n", b"\n", b"hi", b"x y\r\n", b" z\r\n"]
    checks = [HttpCheck(), HttpCheck(body_contains="hi")]
    async with AsyncExitStack() as stack:
        probes = []
        for _ in range(60):
            answer = b"HTTP/1.1 200 OK\r\n" + b"".join(rng.choices(lines, k=rng.randrange(6)))
            cuts = sorted(rng.choices(range(len(answer)), k=rng.randrange(4)))
            pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
            port = await stack.enter_async_context(serving(saying(*pieces, pause=0.003)))
            probes.append(probe_to(port, rng.choice(checks)))
        prober = await stack.enter_async_context(probers())
        fast = await asyncio.gather(*(outcome(prober, probe) for probe in probes))
        alone = await asyncio.gather(*(execute(probe) for probe in probes))
    assert [(one.error, one.detail) for one in fast] == [(one.error, one.detail) for one in alone]
    assert {one.passed for one in fast} == {True, False}


async def test_a_flood_does_not_hold_up_others():
    async with (
        serving(flooding(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000)) as bad,
        serving(answering(OK)) as good,
        probers() as prober,
    ):
        check = HttpCheck(body_contains="y", body_limit=100_000_000)
        flooded = asyncio.ensure_future(outcome(prober, probe_to(bad, check)))
        await asyncio.sleep(0.1)
        result = await outcome(prober, probe_to(good, HttpCheck(), timeout=0.5))
        assert result.passed
        assert not (await flooded).passed


async def test_a_request_is_what_the_check_says():
    received = []

    async def listening(reader, writer):
        received.append(await reader.read(4096))
        writer.write(OK)
        await writer.drain()

    check = HttpCheck(method="POST", path="/up", host="example.org", body=b"x=1")
    async with serving(listening) as port:
        assert (await found_by_both(probe_to(port, check))).passed
    assert received[0] == received[1]
    assert received[0].startswith(b"POST /up HTTP/1.1\r\nHost: example.org\r\n")


async def test_the_source_address_is_used():
    peers = []

    async def noting(_reader, writer):
        peers.append(writer.get_extra_info("peername")[0])

    async with serving(noting) as port:
        source = ip_address("127.0.0.9")
        assert (await found_by_both(probe_to(port, TcpCheck(), source=source))).passed
        await asyncio.sleep(0.05)
    assert set(peers) == {"127.0.0.9"}


async def test_a_source_of_the_other_family_is_the_checks_fault():
    result = await found_by_both(probe_to(1, TcpCheck(), source=ip_address("::1")))
    assert result.error is ErrorClass.CHECK


async def test_ipv6_servers_are_probed():
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        async with serving(answering(OK), host="::1") as port:
            address = ip_address("::1")
            assert (await found_by_both(probe_to(port, HttpCheck(), address=address))).passed
    except OSError:
        pytest.skip("no IPv6 on the loopback interface")


@pytest.mark.parametrize(
    ("method", "port"),
    [
        (HttpCheck(method="two words"), 80),
        (TcpCheck(), 0),
        (TcpCheck(send=b"x", expect=b"y"), 80),
        (HttpCheck(body_regex="x"), 80),
        (HttpCheck(body=b"x" * 10_000), 80),
        (ExecCheck(command=("/bin/true",)), 80),
    ],
)
def test_the_unusual_is_left_to_the_general_way(method, port):
    assert route(probe_to(port, method)) is None


async def test_the_general_way_leads_to_results_too():
    async with serving(answering(b"+PONG\r\n")) as port, probers() as prober:
        result = await outcome(prober, probe_to(port, TcpCheck(send=b"PING", expect=b"PONG")))
    assert result.passed


async def test_a_check_that_cannot_be_carried_out_is_no_crash():
    async with probers() as prober:
        result = await outcome(prober, probe_to(80, HttpCheck(method="two words")))
    assert result.error is ErrorClass.CHECK


@pytest.mark.parametrize("method", [TcpCheck(), HttpCheck(), TcpCheck(send=b"x", expect=b"y")])
async def test_what_is_given_up_says_nothing(method):
    results: list[Result] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        probe = probe_to(listener.getsockname()[1], method, timeout=0.1)
        async with probers() as prober:
            give_up = prober.start(probe, results.append)
            await asyncio.sleep(0)
            give_up()
            give_up()
            await asyncio.sleep(0.3)
    assert results == []


async def test_giving_up_what_was_refused_on_the_spot_says_nothing():
    results: list[Result] = []
    async with probers() as prober:
        give_up = prober.start(probe_to(1, TcpCheck(), source=ip_address("::1")), results.append)
        give_up()
        await asyncio.sleep(0.05)
    assert results == []


async def test_a_probe_begun_by_a_result_is_not_taken_for_the_one_it_follows():
    """The kernel gives the next socket the number of the one just closed."""
    async with serving(silence) as port, probers() as prober:
        good, bad = probe_to(port, TcpCheck()), probe_to(free_port(), TcpCheck())
        results = []
        finished = asyncio.Event()

        def again(number, result):
            results.append((number % 2, result.passed))
            if number == 400:
                finished.set()
                return
            nxt = number + 8
            prober.start((good, bad)[nxt % 2], lambda r: again(nxt, r) if nxt <= 400 else None)

        for number in range(1, 9):
            prober.start((good, bad)[number % 2], lambda r, number=number: again(number, r))
        await asyncio.wait_for(finished.wait(), 10)
    assert all(passed == (kind == 0) for kind, passed in results)


async def test_running_out_of_files_is_this_machines_own_failure():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(silence) as port, probers() as prober:
        await outcome(prober, probe_to(port, TcpCheck()))
        used = max(open_files()) + 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        try:
            hoard = []
            while True:
                try:
                    hoard.append(socket.socket())
                except OSError:
                    break
            result = await outcome(prober, probe_to(port, TcpCheck()))
        finally:
            for sock in hoard:
                sock.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (result.error, result.detail) == (
            ErrorClass.LOCAL,
            "starting: Too many open files",
        )
        assert (await outcome(prober, probe_to(port, TcpCheck()))).passed


async def test_programs_wait_for_each_other():
    check = ExecCheck(command=("/bin/sleep", "0.2"), user="root")
    async with probers(programs=1) as prober:
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*(outcome(prober, probe_to(n, check)) for n in (1, 2, 3)))
        assert asyncio.get_running_loop().time() - begun >= 0.6


async def test_closing_leaves_no_socket_behind():
    before = open_files()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with probers() as prober:
            for _ in range(20):
                prober.start(probe_to(listener.getsockname()[1], HttpCheck()), lambda _: None)
            await asyncio.sleep(0.05)
    assert open_files() <= before


def test_the_limit_of_open_files_is_raised_to_what_is_allowed():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        assert raise_fd_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
