"""Our answers to the questions that a real Octavia was asked, and what is different about them.

python -m tests.octavia.our_answers      # writes docs/reference/octavia-differences.md
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.octavia.differences import document
from tests.octavia.questions import Json, Question, Scenario, differences, filled, keep, normal
from tests.octavia.scenarios.everything import ALL
from tests.octavia.world import World

RECORDED = Path(__file__).with_name("answers.json")
DOCUMENT = Path(__file__).parents[2] / "docs/reference/octavia-differences.md"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two answers are not equal. `status` is the real one's."""

    question: str
    steps: str
    theirs: Json
    ours: Json
    status: int


@cache
def recording() -> dict[str, Json]:
    """What the real one was asked and answered, with a head that says when."""
    found: dict[str, Json] = json.loads(RECORDED.read_text())
    return found


async def our_answers(scenario: Scenario) -> list[tuple[Question, dict[str, Json]]]:
    """Each question of a scenario with our answer to it; what it begins is in force at once."""
    world, names, answered = World(), dict[str, str](), []
    for question in scenario.questions:
        if question.is_held:
            world.hold()
        one = filled(question, names)
        body = one.body if one.raw is None else one.raw.encode()
        headers = {name.lower(): value for name, value in one.headers.items()}
        answer = await world.ask(
            one.method, one.path, body, **{"accept": "application/json", **headers}
        )
        exchange = answer.status, answer.headers.get("content-type", ""), answer.content
        keep(question, exchange, names)
        answered.append((question, normal(question, exchange, names)))
        if not question.is_held:
            await world.release()
    await world.release()
    return answered


def compared(answered: Iterable[tuple[Question, dict[str, Json]]]) -> list[Difference]:
    """Where our answers are not the real one's."""
    recorded = recording()["answers"]
    return [
        Difference(question.name, *place, status=recorded[question.name]["answered"]["status"])
        for question, answer in answered
        for place in differences(recorded[question.name]["answered"], answer)
    ]


async def every_difference() -> list[Difference]:
    """Of all scenarios."""
    return [one for scenario in ALL for one in compared(await our_answers(scenario))]


def main() -> None:
    """Write the document."""
    found = asyncio.run(every_difference())
    DOCUMENT.write_text(document(recording(), found))
    print(f"{DOCUMENT}: {len({one.question for one in found})} questions")  # noqa: T201  # for whoever ran it


if __name__ == "__main__":
    main()
