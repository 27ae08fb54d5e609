"""Framing: requests are numbered, batches bounded, answers taken apart with every length checked."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.errors import CodecError
from ipvs_lb.netlink import messages
from ipvs_lb.netlink.messages import Message, batches, frame, frame_batch, generic, head, split

payloads = st.lists(st.integers(1, 20).map(lambda words: bytes(4 * words)), max_size=30)


def test_a_request_has_its_length_kind_flags_and_number() -> None:
    assert (
        frame(28, messages.DUMP, 7, b"abcd") == struct.pack("=IHHII", 20, 28, 0x301, 7, 0) + b"abcd"
    )


def test_only_the_fence_behind_a_batch_asks_for_an_acknowledgement() -> None:
    sent = list(split(frame_batch(28, 10, [b"aaaa", b"bbbb"])))
    assert [(m.kind, m.sequence, m.flags, m.payload) for m in sent] == [
        (28, 10, messages.REQUEST, b"aaaa"),
        (28, 11, messages.REQUEST, b"bbbb"),
        (messages.NOOP, 12, messages.REQUEST | messages.ACKNOWLEDGE, b""),
    ]


def test_sequence_numbers_start_again_after_32_bits() -> None:
    sent = split(frame_batch(28, 2**32 - 1, [b"aaaa", b"bbbb"]))
    assert [message.sequence for message in sent] == [2**32 - 1, 0, 1]


@given(payloads, st.integers(1, 8), st.integers(30, 200))
def test_batches_are_bounded_and_lose_nothing(sent: list[bytes], most: int, size: int) -> None:
    cuts = list(batches(sent, most, size))
    assert [payload for start, stop in cuts for payload in sent[start:stop]] == sent
    for start, stop in cuts:
        assert 1 <= stop - start <= most
        framed = sum(messages.HEADER_SIZE + len(payload) for payload in sent[start:stop])
        assert framed <= size or stop - start == 1


def test_messages_that_end_between_words_are_padded() -> None:
    short = struct.pack("=IHHII", 18, 28, 0, 1, 0) + b"ab\0\0"
    assert [m.payload for m in split(short + frame(28, 0, 2, b"abcd"))] == [b"ab", b"abcd"]


@pytest.mark.parametrize(
    ("datagram", "problem"),
    [
        (b"short", "header cut off after 5 of 16"),
        (struct.pack("=IHHII", 8, 28, 0, 1, 0), "says 8 bytes where 16 are left"),
        (struct.pack("=IHHII", 17, 28, 0, 1, 0), "says 17 bytes where 16 are left"),
    ],
    ids=["short", "too small", "too big"],
)
def test_lengths_that_do_not_fit_are_refused(datagram: bytes, problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        list(split(datagram))


def test_a_datagram_without_a_message_has_no_head() -> None:
    assert head(frame(28, 0, 9, b"")) == (28, 9)
    with pytest.raises(CodecError, match="3 bytes"):
        head(b"abc")


def test_a_result_carries_its_errno() -> None:
    assert Message(messages.ERROR, 0, 1, struct.pack("=i", -17) + bytes(16)).code == 17
    with pytest.raises(CodecError, match="result of 2 bytes"):
        _ = Message(messages.DONE, 0, 1, b"ab").code


def test_the_content_of_a_generic_message_follows_its_header() -> None:
    assert Message(28, 0, 1, generic(4, 1) + b"rest").content == b"rest"
    with pytest.raises(CodecError, match="message of 3 bytes"):
        _ = Message(28, 0, 1, b"abc").content


@given(st.binary(max_size=100))
def test_random_bytes_are_split_or_refused(datagram: bytes) -> None:
    with contextlib.suppress(CodecError):
        list(split(datagram))
