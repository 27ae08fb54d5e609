"""The HTTP parser on its own: every rule, and every cut of every answer."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipvs_lb.model.checks import HttpCheck, Tls
from ipvs_lb.model.identity import Port
from ipvs_lb.model.results import ErrorClass, Target
from ipvs_lb.probes.http import MAX_FIELDS, MAX_HEAD, MAX_LINE, Answer, Verdict, request

PLAIN = HttpCheck()
FIND = HttpCheck(body_contains="needle", body_limit=100)
MATCH = HttpCheck(body_regex="n.*e", body_limit=100)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
V4 = Target(IPv4Address("10.0.0.4"), Port(80))


def judged(check: HttpCheck, *pieces: bytes, ends: bool = True) -> Verdict | None:
    answer = Answer(check)
    verdict = None
    for piece in pieces:
        verdict = answer.feed(piece)
    return answer.end() if ends else verdict


@pytest.mark.parametrize(
    ("check", "answer", "error"),
    [
        pytest.param(PLAIN, OK + b"\r\n", None, id="no-fields"),
        pytest.param(PLAIN, b"HTTP/1.0 200\n\n", None, id="bare-line-feeds-and-no-reason"),
        pytest.param(PLAIN, OK + b"Server: x\r\n\r\nbody", None, id="body-is-not-looked-at"),
        pytest.param(PLAIN, b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n", None, id="interim"),
        pytest.param(PLAIN, OK + b"A: b\r\n c\r\n\r\n", None, id="folded-field"),
        pytest.param(PLAIN, b"HTTP/1.1 503 No\r\n", ErrorClass.STATUS, id="wrong-status"),
        pytest.param(PLAIN, b"HTTP/1.1 302 Found\r\n", ErrorClass.STATUS, id="redirect"),
        pytest.param(PLAIN, b"", ErrorClass.CLOSED, id="nothing"),
        pytest.param(PLAIN, b"HTTP/1", ErrorClass.CLOSED, id="cut-in-the-version"),
        pytest.param(PLAIN, OK + b"Server: x\r\n", ErrorClass.CLOSED, id="cut-in-the-head"),
        pytest.param(PLAIN, b"SSH-2.0-x\r\n", ErrorClass.PROTOCOL, id="ssh"),
        pytest.param(PLAIN, b"\x15\x03", ErrorClass.PROTOCOL, id="short-garbage"),
        pytest.param(PLAIN, b"HTTP/2.0 200 OK\r\n", ErrorClass.PROTOCOL, id="version-2"),
        pytest.param(PLAIN, b"HTTP/1.1 2000 OK\r\n", ErrorClass.PROTOCOL, id="four-digits"),
        pytest.param(PLAIN, OK + b"no colon\r\n", ErrorClass.PROTOCOL, id="not-a-field"),
        pytest.param(PLAIN, OK + b"a b: c\r\n", ErrorClass.PROTOCOL, id="blank-in-name"),
        pytest.param(PLAIN, OK + b"A: " + b"x" * MAX_LINE, ErrorClass.TOO_LARGE, id="long-line"),
        pytest.param(PLAIN, OK + b"A: b\r\n" * MAX_FIELDS, ErrorClass.TOO_LARGE, id="many-fields"),
        pytest.param(
            PLAIN, OK + (b"A:" + b"x" * 9000 + b"\n") * 9, ErrorClass.TOO_LARGE, id="large-head"
        ),
        pytest.param(FIND, OK + b"\r\nhay needle hay", None, id="found-until-close"),
        pytest.param(FIND, OK + b"Content-Length: 6\r\n\r\nneedle", None, id="found-counted"),
        pytest.param(
            FIND, OK + b"Content-Length: 6, 6\r\n\r\nneedle", None, id="same-length-twice"
        ),
        pytest.param(FIND, CHUNKED + b"3\r\nnee\r\n3;x=y\r\ndle\r\n0\r\n\r\n", None, id="chunked"),
        pytest.param(FIND, OK + b"\r\nhay", ErrorClass.BODY, id="not-found"),
        pytest.param(FIND, OK + b"Content-Length: 0\r\n\r\n", ErrorClass.BODY, id="empty-body"),
        pytest.param(FIND, CHUNKED + b"0\r\n\r\n", ErrorClass.BODY, id="empty-chunked"),
        pytest.param(
            FIND, OK + b"\r\n" + b"x" * 100 + b"needle", ErrorClass.BODY, id="beyond-the-limit"
        ),
        pytest.param(
            FIND, OK + b"Content-Length: 6\r\n\r\nnee", ErrorClass.CLOSED, id="shorter-than-said"
        ),
        pytest.param(FIND, CHUNKED + b"5\r\nnee", ErrorClass.CLOSED, id="cut-in-a-chunk"),
        pytest.param(FIND, CHUNKED + b"zz\r\n", ErrorClass.PROTOCOL, id="chunk-size-no-number"),
        pytest.param(FIND, CHUNKED + b"fffffffff\r\n", ErrorClass.PROTOCOL, id="chunk-size-huge"),
        pytest.param(FIND, CHUNKED + b"1\r\nxy\r\n", ErrorClass.PROTOCOL, id="chunk-too-long"),
        pytest.param(
            FIND, CHUNKED + b"1;" + b"x" * 300, ErrorClass.TOO_LARGE, id="chunk-extension"
        ),
        pytest.param(
            FIND, OK + b"Content-Length: -1\r\n\r\n", ErrorClass.PROTOCOL, id="negative-length"
        ),
        pytest.param(
            FIND,
            OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            ErrorClass.PROTOCOL,
            id="two-lengths",
        ),
        pytest.param(
            HttpCheck(expect_codes=((204, 204),), body_contains="x"),
            b"HTTP/1.1 204 No\r\n\r\n",
            ErrorClass.BODY,
            id="bodiless-status",
        ),
        pytest.param(
            HttpCheck(method="HEAD", body_contains=""),
            OK + b"Content-Length: 9\r\n\r\n",
            None,
            id="head",
        ),
    ],
)
def test_an_answer_has_one_verdict(check, answer, error):
    verdict = judged(check, answer)
    assert verdict is not None
    assert verdict.error is error


def test_the_verdict_comes_as_early_as_it_is_certain():
    assert judged(PLAIN, OK, b"\r\n", ends=False) == Verdict(detail="status 200")
    assert judged(PLAIN, OK, ends=False) is None
    found = judged(FIND, OK + b"Content-Length: 90\r\n\r\nneedle", ends=False)
    assert found == Verdict(detail="status 200")


def test_a_verdict_stands_whatever_comes_after_it():
    answer = Answer(PLAIN)
    first = answer.feed(b"HTTP/1.1 500 Oops\r\n")
    assert answer.feed(OK + b"\r\n") == first == answer.end()


def test_a_pattern_gets_the_decoded_body_up_to_the_limit():
    verdict = judged(MATCH, CHUNKED + b"5\r\nabcde\r\n60\r\n" + b"x" * 96)
    assert verdict == Verdict(detail="status 200", body=b"abcde" + b"x" * 95)


def test_expected_codes_are_ranges_and_named_when_missed():
    check = HttpCheck(expect_codes=((200, 299), (404, 404)))
    assert judged(check, b"HTTP/1.1 404 No\r\n\r\n") == Verdict(detail="status 404")
    verdict = judged(check, b"HTTP/1.1 500 No\r\n\r\n")
    assert verdict == Verdict(error=ErrorClass.STATUS, detail="status 500, expected 200-299,404")


FRAGMENTS = st.sampled_from(
    [
        OK,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 500 No\r\n",
        b"Content-Length: 7\r\n",
        b"Content-Length: x\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\n",
        b"3\r\nnee\r\n",
        b"3\r\ndle\r\n",
        b"0\r\n\r\n",
        b"needle",
        b"x" * 95,
        b"A: " + b"y" * 300 + b"\r\n",
        b"A: " + b"y" * (MAX_LINE - 4) + b"\r\n",
    ]
)
ANSWERS = st.lists(FRAGMENTS | st.binary(max_size=12), max_size=12).map(b"".join)
LIKELY = ANSWERS.map(lambda rest: OK + rest)


@given(
    check=st.sampled_from([PLAIN, FIND, MATCH, HttpCheck(body_contains="needle", body_regex="x")]),
    answer=ANSWERS | LIKELY | st.binary(max_size=40),
    cuts=st.lists(st.integers(0, 400), max_size=20),
)
@example(check=PLAIN, answer=OK + b"A" * (MAX_LINE + 1), cuts=[MAX_LINE])
@example(check=PLAIN, answer=OK + b"A: " + b"y" * (MAX_LINE - 3) + b"\r\n\r\n", cuts=[20])
@example(check=PLAIN, answer=OK + (b"A:" + b"y" * 16381 + b"\n") * 4, cuts=[MAX_HEAD])
def test_the_verdict_does_not_depend_on_how_the_bytes_are_cut(check, answer, cuts):
    places = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    pieces = [answer[a:b] for a, b in pairwise(places)]
    bytewise = [answer[i : i + 1] for i in range(min(len(answer), 400))] + [answer[400:]]
    whole = judged(check, answer)
    assert judged(check, *pieces) == whole
    assert judged(check, *bytewise) == whole
    assert whole is not None
    assert whole.detail.isprintable()
    assert len(whole.detail) < 300


def test_a_request_is_complete_and_asks_for_nothing_encoded():
    check = HttpCheck(path="/health", headers=(("X-Probe", "1"), ("user-agent", "mine")))
    assert request(check, V4) == (
        b"GET /health HTTP/1.1\r\n"
        b"Host: 10.0.0.4\r\n"
        b"user-agent: mine\r\n"
        b"Accept: */*\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Connection: close\r\n"
        b"X-Probe: 1\r\n\r\n"
    )


def test_a_body_comes_with_its_length():
    sent = request(HttpCheck(method="POST", body=b"{}", http_version="1.0"), V4)
    assert sent.startswith(b"POST / HTTP/1.0\r\n")
    assert b"Content-Length: 2\r\n" in sent
    assert sent.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    ("target", "tls", "host"),
    [
        (V4, None, b"10.0.0.4"),
        (Target(V4.address, Port(8080)), None, b"10.0.0.4:8080"),
        (Target(V4.address, Port(443)), Tls(), b"10.0.0.4"),
        (Target(V4.address, Port(80)), Tls(), b"10.0.0.4:80"),
        (Target(IPv6Address("2001:db8::4"), Port(80)), None, b"[2001:db8::4]"),
        (Target(IPv6Address("2001:db8::4"), Port(81)), None, b"[2001:db8::4]:81"),
    ],
)
def test_the_host_is_the_target_where_the_check_names_none(target, tls, host):
    assert b"\r\nHost: " + host + b"\r\n" in request(HttpCheck(tls=tls), target)


@pytest.mark.parametrize(
    "check",
    [
        HttpCheck(method="GET /x HTTP/1.0\r\n"),
        HttpCheck(headers=(("A", "b\r\nC: d"),)),
        HttpCheck(headers=(("A\r\nB", "c"),)),
        HttpCheck(host="a\r\nB: c"),
    ],
)
def test_a_request_cannot_be_split(check):
    with pytest.raises(ValueError, match=r"token|control"):
        request(check, V4)


def test_a_path_is_quoted_into_one_request_line():
    sent = request(HttpCheck(path="/a b\r\nX: y?q=%20é"), V4)
    assert sent.startswith(b"GET /a%20b%0D%0AX:%20y?q=%20%C3%A9 HTTP/1.1\r\n")
