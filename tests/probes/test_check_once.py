"""Many checks at once, and how failures are put into words."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.model.checks import HealthCheck, HttpCheck, TcpCheck
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import Probe, bound
from ipvs_lb.model.results import MAX_DETAIL, ErrorClass, Target
from ipvs_lb.probes import check_once, run_once
from ipvs_lb.probes.failures import os_failure, printable, quoted
from tests.probes.servers import LOOPBACK, answering, free_port, serving, silence

pytestmark = pytest.mark.real_time


class Counting:
    """Counts the connections, and how many there were at a time."""

    def __init__(self) -> None:
        self.total = self.now = self.most = 0

    async def __call__(self, reader, writer) -> None:
        self.total += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.now -= 1
        await reader.read(1)


async def test_equal_checks_of_one_target_run_once():
    counting = Counting()
    async with serving(counting) as port:
        target = Target(LOOPBACK, Port(port))
        elsewhere = Target(LOOPBACK, Port(1))
        checks = {
            "web": Probe(HealthCheck(method=HttpCheck()), target),
            "web again": Probe(HealthCheck(method=HttpCheck(), rise=5, interval=9), target),
            "by port": bound(HealthCheck(method=HttpCheck(), port=Port(port)), elsewhere),
            "other path": Probe(HealthCheck(method=HttpCheck(path="/x")), target),
        }
        results = await check_once(checks)
    assert list(results) == list(checks)
    assert all(result.passed for result in results.values())
    assert results["web"] is results["web again"] is results["by port"]
    assert counting.total == 2


async def test_no_more_than_the_limit_run_at_a_time():
    counting = Counting()
    async with serving(counting) as port:
        target = Target(LOOPBACK, Port(port))
        checks = {n: Probe(HealthCheck(method=HttpCheck(path=f"/{n}")), target) for n in range(30)}
        results = await check_once(checks, limit=4)
    assert len(results) == 30
    assert 2 <= counting.most <= 4


async def test_one_result_says_nothing_about_the_others():
    async with serving(answering(b"HTTP/1.1 500 No\r\n\r\n")) as broken, serving(silence) as slow:
        results = await check_once(
            {
                "broken": Probe(HealthCheck(method=HttpCheck()), Target(LOOPBACK, Port(broken))),
                "slow": Probe(
                    HealthCheck(method=HttpCheck(), timeout=0.1),
                    Target(LOOPBACK, Port(slow)),
                ),
                "gone": Probe(HealthCheck(method=TcpCheck()), Target(LOOPBACK, Port(free_port()))),
                "up": Probe(HealthCheck(method=TcpCheck()), Target(LOOPBACK, Port(slow))),
            }
        )
    assert {name: result.error for name, result in results.items()} == {
        "broken": ErrorClass.STATUS,
        "slow": ErrorClass.TIMEOUT,
        "gone": ErrorClass.REFUSED,
        "up": None,
    }


async def test_nothing_to_check_is_nothing():
    assert await check_once({}) == {}


def test_checks_can_be_run_without_an_event_loop():
    target = Target(LOOPBACK, Port(free_port()))
    results = run_once({"a": Probe(HealthCheck(method=TcpCheck()), target)})
    assert results["a"].error is ErrorClass.REFUSED


async def test_checks_with_different_patience_are_not_one():
    counting = Counting()
    async with serving(counting) as port:
        target = Target(LOOPBACK, Port(port))
        patient, hasty = (HealthCheck(method=HttpCheck(), timeout=timeout) for timeout in (3, 2))
        await check_once({"patient": Probe(patient, target), "hasty": Probe(hasty, target)})
    assert counting.total == 2


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ECONNREFUSED, ErrorClass.REFUSED),
        (errno.ETIMEDOUT, ErrorClass.TIMEOUT),
        (errno.ECONNRESET, ErrorClass.RESET),
        (errno.EPIPE, ErrorClass.RESET),
        (errno.EHOSTUNREACH, ErrorClass.UNREACHABLE),
        (errno.ENETUNREACH, ErrorClass.UNREACHABLE),
        (errno.EMSGSIZE, ErrorClass.TOO_LARGE),
        (errno.EMFILE, ErrorClass.LOCAL),
        (errno.EPERM, ErrorClass.LOCAL),
        (errno.EADDRNOTAVAIL, ErrorClass.LOCAL),
        (errno.ENOBUFS, ErrorClass.LOCAL),
    ],
)
def test_an_errno_tells_the_server_s_trouble_from_ours(code, error):
    failure = os_failure(OSError(code, "x"), "connecting")
    assert failure.error is error
    assert error.blames_server is (error is not ErrorClass.LOCAL)
    assert failure.detail.startswith("connecting: ")


@given(st.binary() | st.text(), st.integers(4, 300))
def test_whatever_a_server_says_is_shown_as_one_harmless_line(said, limit):
    shown = printable(said, limit)
    assert len(shown) <= limit
    assert shown.isascii()
    assert shown.isprintable()
    assert len(quoted(said)) <= MAX_DETAIL


def test_importing_the_probes_stays_light():
    """What only some methods need is imported by them."""
    program = (
        "import sys, ipvs_lb.probes;"
        "print(*{'dns', 'h2', 'cryptography', 'regex', 'pydantic'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.split() == []
