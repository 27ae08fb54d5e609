"""Webhooks against real receivers, good and bad."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from email.utils import formatdate
from pathlib import Path

import pytest

from ipvs_lb import __version__
from ipvs_lb.hooks.calls import Call, Outcome
from ipvs_lb.hooks.line import Line
from ipvs_lb.hooks.post import judge
from ipvs_lb.hooks.retry import LONGEST_ASKED, asked_for, pause
from ipvs_lb.hooks.webhook import tell_webhook
from ipvs_lb.model.hooks import Webhook
from ipvs_lb.serial import event_to_json
from tests.hooks.receivers import Site, drip, endless, hang, receiving, say, status, until
from tests.hooks.world import WEB, World, call, event, hook
from tests.probes.servers import Authority, free_port

pytestmark = pytest.mark.real_time

OK = status("204 No Content")


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("hook ")]


async def tell(site: Site, what: Call | None = None, **settings) -> Outcome:
    return await tell_webhook(Webhook(url=site.url, **settings), what or call())


async def test_the_receiver_gets_the_events_as_json_and_what_tells_repeats_apart():
    sent = call(4, 5, dropped=2)
    with receiving(OK) as site:
        assert (await tell(site, sent)).delivered
    (got,) = site.requests
    assert got.line == "POST /hook?key=s3cret HTTP/1.1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["idempotency-key"] == "d-1"
    assert got.headers["user-agent"] == f"ipvs-lb/{__version__}"
    assert got.document == {
        "schema": "ipvs_lb/hook/1",
        "hook": "pager",
        "gateway": "gw",
        "delivery": "d-1",
        "service": WEB,
        "service_name": "web",
        "events": [event_to_json(event(4)), event_to_json(event(5))],
        "dropped": 2,
    }


async def test_configured_headers_are_sent_and_ours_stay_ours():
    headers = (("Authorization", "Bearer s3cret"), ("X-Team", "lb"), ("User-Agent", "other"))
    with receiving(OK) as site:
        await tell(site, headers=headers)
    (got,) = site.requests
    assert got.headers["authorization"] == "Bearer s3cret"
    assert got.headers["x-team"] == "lb"
    assert got.headers["idempotency-key"] == "d-1"


async def test_neither_a_proxy_nor_a_netrc_of_the_environment_is_used(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with receiving(OK) as site:
        assert (await tell(site)).delivered
    assert "authorization" not in site.requests[0].headers


@pytest.mark.parametrize(
    ("answer", "reason", "again"),
    [
        pytest.param(status("200 OK"), "", False, id="200"),
        pytest.param(status("202 Accepted"), "", False, id="202"),
        pytest.param(status("400 Bad"), "status 400", False, id="400"),
        pytest.param(status("404 No"), "status 404", False, id="404"),
        pytest.param(status("429 Slow"), "status 429", True, id="429"),
        pytest.param(status("500 No"), "status 500", True, id="500"),
        pytest.param(status("503 No"), "status 503", True, id="503"),
        pytest.param(say(b""), "closed without an answer", True, id="close"),
        pytest.param(say(b"SSH-2.0\r\n"), "the answer is not HTTP: BadStatusLine", True, id="ssh"),
        pytest.param(
            say(b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n"),
            "the answer is not HTTP: LineTooLong",
            True,
            id="long",
        ),
    ],
)
async def test_an_answer_says_whether_another_attempt_is_of_use(answer, reason, again):
    with receiving(answer) as site:
        outcome = await tell(site)
    assert (outcome.reason, outcome.again) == (reason, again)


async def test_a_refused_connection_is_worth_another_attempt():
    site = Site(free_port())
    assert await tell(site) == Outcome(reason="Connection refused", again=True)


async def test_a_name_that_does_not_resolve_is_told_as_that():
    outcome = await tell_webhook(Webhook(url="http://no.such.host.invalid/s3cret"), call())
    assert outcome.again
    assert "s3cret" not in outcome.reason
    assert outcome.reason


async def test_a_redirect_is_not_followed_nor_its_body_read():
    with receiving(OK) as target:
        head = f"302 Found\r\nLocation: {target.url}"
        with receiving(endless(head)) as site:
            outcome = await tell(site)
        assert outcome == Outcome(reason="status 302: redirects are not followed")
        assert target.requests == []


async def test_a_body_without_end_is_not_read():
    with receiving(endless("200 OK")) as site:
        assert (await tell(site, timeout=20.0)).delivered
        until(lambda: not site.open, "the connection is closed")
    until(lambda: not threads(), "the thread is gone")


@pytest.mark.parametrize("answer", [hang, drip], ids=["hangs", "drips"])
async def test_an_attempt_is_cut_at_its_timeout_whatever_the_receiver_does(answer):
    loop = asyncio.get_running_loop()
    with receiving(answer) as site:
        begun = loop.time()
        outcome = await tell(site, timeout=0.5)
        assert 0.5 <= loop.time() - begun < 10
        until(lambda: not site.open, "the connection is closed")
    assert outcome == Outcome(reason="no answer within 0.5 s", again=True)
    until(lambda: not threads(), "the thread is gone")


async def test_an_attempt_that_is_cancelled_closes_its_connection_at_once():
    with receiving(hang) as site:
        task = asyncio.create_task(tell(site, timeout=60.0))
        await asyncio.to_thread(site.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        until(lambda: not site.open, "the connection is closed")
        until(lambda: not threads(), "the thread is gone")


async def test_a_line_that_is_cut_before_the_connection_stands_says_nothing():
    line = Line()
    line.cut()
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(TimeoutError):
        line.hold(ours)
    assert ours.fileno() == -1


async def test_attempts_leave_no_file_descriptor_open():
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names are enough

    with receiving(OK) as good, receiving(hang) as bad:
        await tell(good)
        until(lambda: not good.open, "the connection is closed")
        before = descriptors()
        await asyncio.gather(*(tell(good) for _ in range(4)))
        await asyncio.gather(*(tell(bad, timeout=0.2) for _ in range(4)))
        until(lambda: descriptors() <= before, "no more than before")


async def test_the_event_loop_goes_on_while_a_receiver_hangs():
    with receiving(hang) as site:
        task = asyncio.create_task(tell(site, timeout=1.0))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
    assert turns > 10


async def test_a_certificate_is_verified_against_the_ca_file(tmp_path: Path):
    authority = Authority(tmp_path)
    with receiving(OK, authority.server("127.0.0.1")) as site:
        assert (await tell(site, ca_file=str(authority.file))).delivered
        outcome = await tell(site)
    assert outcome.reason.startswith("certificate not accepted: ")
    assert outcome.again
    with receiving(OK, authority.server("other.example.org")) as site:
        outcome = await tell(site, ca_file=str(authority.file))
    assert "certificate is not valid for '127.0.0.1'" in outcome.reason
    assert site.requests == []


async def test_a_ca_file_that_cannot_be_used_is_told(tmp_path: Path):
    with receiving(OK) as site:
        outcome = await tell(site, ca_file="/nowhere/ca.pem")
        assert outcome.reason == "ca_file /nowhere/ca.pem: No such file or directory"
        broken = tmp_path / "ca.pem"
        broken.write_text("no certificate")
        outcome = await tell(Site(site.port, "https"), ca_file=str(broken))
        assert outcome.reason
    assert site.requests == []


async def test_a_receiver_without_tls_is_told_as_that():
    with receiving(say(b"HTTP/1.0 400 Bad\r\n\r\n")) as site:
        outcome = await tell(Site(site.port, "https"))
    assert outcome == Outcome(reason="TLS failed: WRONG_VERSION_NUMBER", again=True)


# through the dispatcher


async def test_a_receiver_that_fails_first_gets_the_same_again_and_may_say_when():
    answers = status("500 No", "429 Slow\r\nRetry-After: 2", "200 OK")
    with receiving(answers) as site:
        world = World(hook(action=Webhook(url=site.url), window=0.0))
        world.dispatcher._send = tell_webhook  # type: ignore[assignment]  # only webhooks here
        begun = asyncio.get_running_loop().time()
        world.tell(event(1))
        await asyncio.to_thread(site.wait_for, 3)
        assert asyncio.get_running_loop().time() - begun >= 3  # 1 of ours, 2 of the receiver's
        until(lambda: not site.open, "the last answer is sent")
        await world.dispatcher.close(1.0)
    assert len({got.headers["idempotency-key"] for got in site.requests}) == 1
    assert len({got.body for got in site.requests}) == 1
    assert world.told == []


# when to try again


@pytest.mark.parametrize(
    ("attempt", "chance", "asked", "seconds"),
    [
        (1, 0.0, 0.0, 1.0),
        (1, 1.0, 0.0, 0.5),
        (2, 0.0, 0.0, 2.0),
        (5, 0.5, 0.0, 12.0),
        (9, 0.0, 0.0, 60.0),
        (1, 0.0, 7.0, 7.0),
        (5, 0.0, 7.0, 16.0),
        (1, 0.0, 1e9, LONGEST_ASKED),
    ],
)
def test_pauses_double_up_to_a_minute_and_differ_by_chance(attempt, chance, asked, seconds):
    assert pause(attempt, chance, asked) == seconds


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("0", 0.0),
        (" 17 ", 17.0),
        ("9" * 400, LONGEST_ASKED),
        ("-5", 0.0),
        ("soon", 0.0),
        ("١٢", 0.0),  # digits, but no digits of HTTP
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW + 30), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        (formatdate(NOW + 1e6, usegmt=True), LONGEST_ASKED),
        ("Wed, 99 Foo 2023 99:99:99 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(header, seconds):
    assert asked_for(header, NOW) == seconds


def test_only_an_answer_worth_another_attempt_can_ask_for_time():
    assert judge(503, "9", NOW).wait == 9
    assert judge(429, "9", NOW).wait == 9
    assert judge(404, "9", NOW).wait == 0
