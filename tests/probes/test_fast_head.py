"""The short cut through an HTTP answer says nothing that the long way would not say."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipvs_lb.model.checks import HttpCheck
from ipvs_lb.probes.fast.head import whole_head
from ipvs_lb.probes.http import MAX_FIELDS, Answer

ANYTHING = HttpCheck(expect_codes=((100, 999),))
PIECES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404\n", b"HTTP/1.1 100 Continue\r\n", b"HTTP/2 200"),
        *(b"HTTP/1.1 099 \r\n", b"HTTP/1.1 200\r\r\n", b"HTTP/1.1 204 \xff\x00\r\n", b"HTTP/1.1  "),
        *(b"Date: now\r\n", b"Server: x\n", b" folded\r\n", b"\tfolded\n", b"no colon\r\n"),
        *(b": empty name\r\n", b"na me: x\r\n", b"x:\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Length: 3\r\n",
            b"abc",
            b"\x00",
            b"a:\n" * 99,
        ),
    ]
)
ANSWERS = st.one_of(
    st.lists(PIECES, max_size=8).map(b"".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: b"".join((b"HTTP/1.1 200 OK\r\n", *pieces))),
    st.binary(max_size=64),
)


@given(ANSWERS)
@example(b"HTTP/1.1 200 OK\r\n" + b"a:\n" * 300 + b"\n")
@settings(max_examples=500)
def test_a_short_cut_ends_where_the_long_way_does(answer):
    status = whole_head(bytearray(answer), len(answer))
    verdict = Answer(ANYTHING).feed(answer)
    if status is not None:
        assert verdict is not None
        assert verdict.error is None
        assert verdict.detail == f"status {status}"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n<html>",
        b"HTTP/1.1 200\nDate: now\n\n",
    ],
)
def test_usual_answers_take_the_short_cut(answer):
    assert whole_head(bytearray(answer), len(answer)) == 200


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nServer: nginx\r\n", id="not-all-there"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", id="interim"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="not-a-field"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a:\n" * MAX_FIELDS + b"\n", id="too-many-fields"),
        pytest.param(b"HTTP/1.1 200 OK\r\na: " + b"a" * 5000 + b"\r\n\r\n", id="too-long"),
    ],
)
def test_unusual_answers_take_the_long_way(answer):
    assert whole_head(bytearray(answer), len(answer)) is None


def test_what_an_earlier_answer_left_in_the_buffer_does_not_count():
    buffer = bytearray(b"HTTP/1.1 200 OK\r\n\r\n")
    assert whole_head(buffer, 17) is None
