"""A real Octavia and ours answer the same questions alike: status, fault code, fault text, fields."""

from __future__ import annotations

import pytest

from tests.octavia.differences import KNOWN, document, known
from tests.octavia.our_answers import (
    DOCUMENT,
    compared,
    every_difference,
    our_answers,
    recording,
)
from tests.octavia.questions import Question, differences, normal
from tests.octavia.scenarios.everything import ALL


@pytest.mark.parametrize("scenario", ALL, ids=[one.name.replace(" ", "-") for one in ALL])
async def test_what_a_real_octavia_was_asked_is_answered_as_it_answered(scenario):
    unknown = [one for one in compared(await our_answers(scenario)) if known(one) is None]
    assert unknown == []


def test_the_recording_is_of_the_questions_asked_here():
    asked = {one.name: one.asked() for scenario in ALL for one in scenario.questions}
    assert {name: one["asked"] for name, one in recording()["answers"].items()} == asked
    assert recording()["questions"] == len(asked) > 200


async def test_a_known_difference_that_is_none_any_more_is_taken_off_the_list():
    seen = {known(one) for one in await every_difference()}
    assert [one.what for one in KNOWN if one not in seen] == []


async def test_the_documented_differences_are_those_there_are():
    text = document(recording(), await every_difference())
    assert DOCUMENT.read_text() == text, "python -m tests.octavia.our_answers writes it anew"


def test_answers_that_differ_in_their_masked_parts_alone_are_equal():
    question = Question("a question", "GET", "/")
    body = b'{"id": "%s", "at": "2026-11-23T17:%02d:00", "operating_status": "%s"}'
    one = b"11111111-1111-4111-8111-111111111111"
    other = b"22222222-2222-4222-8222-222222222222"
    first = normal(question, (200, "application/json", body % (one, 1, b"ONLINE")), {})
    second = normal(question, (200, "application/json", body % (other, 2, b"ERROR")), {})
    named = normal(
        question, (200, "application/json", body % (other, 2, b"ERROR")), {"lb": other.decode()}
    )
    assert [*differences(first, second)] == []
    assert [*differences(first, named)] == [("body.id", "<uuid>", "<lb>")]


@pytest.mark.parametrize(
    ("theirs", "ours", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": 1}, {}, [("a", 1, ...)]),
        ({}, {"a": None}, [("a", ..., None)]),
        ({"a": [{"b": 1}, 2]}, {"a": [{"b": 3}, 2]}, [("a.0.b", 1, 3)]),
        ({"a": [1]}, {"a": [1, 2]}, [("a", [1], [1, 2])]),
    ],
)
def test_a_difference_is_told_with_its_place(theirs, ours, found):
    assert [*differences(theirs, ours)] == found
