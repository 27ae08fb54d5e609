"""The answers of a real Octavia to the questions of the tests, recorded.

python -m benchmarks.octavia_questions record      # writes tests/octavia/answers.json
python -m benchmarks.octavia_questions check       # asks again, and says what is answered otherwise
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import requests

from benchmarks.octavia_reference import VERSION, Reference, reference
from tests.octavia.questions import Exchange, Question, answers, differences
from tests.octavia.scenarios.everything import ALL
from tests.octavia.world import PROJECT

ANSWERS = Path("tests/octavia/answers.json")
_ABOUT = (
    "What a real Octavia API answers to the questions of tests/octavia/scenarios, asked on loopback of its package"
    " with its no-op drivers on SQLite. Identifiers, times and addresses of the server are masked, operating states,"
    " too, except where an object is made. Written by `python -m benchmarks.octavia_questions record`."
)
_TIMEOUT = 60.0


def send(session: requests.Session, real: Reference, question: Question) -> Exchange:
    """The answer of the real one."""
    headers = {**real.headers, "Accept": "application/json", **question.headers}
    content: bytes | None = None
    if question.raw is not None or question.body is not None:
        headers["Content-Type"] = "application/json"
        text = question.raw if question.raw is not None else json.dumps(question.body)
        content = text.encode()
    answer = session.request(
        question.method,
        real.origin + question.path,
        data=content,
        headers=headers,
        timeout=_TIMEOUT,
    )
    return answer.status_code, answer.headers.get("content-type", ""), answer.content


def asked(real: Reference) -> Iterator[tuple[Question, dict[str, Any]]]:
    """Every question with its answer."""
    with requests.Session() as session:
        for scenario in ALL:
            real.empty()
            print(f"{scenario.name}: {len(scenario.questions)}", flush=True)
            yield from answers(scenario, partial(send, session, real), real.settle)


def recorded(real: Reference) -> dict[str, Any]:
    """All of it as it is kept."""
    found = {
        question.name: {"asked": question.asked(), "answered": answer}
        for question, answer in asked(real)
    }
    return {
        "about": _ABOUT,
        "octavia": VERSION,
        "date": datetime.now(UTC).date().isoformat(),
        "questions": len(found),
        "answers": found,
    }


def main() -> None:
    """Record, or compare with what is recorded."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("what", choices=("record", "check"))
    given = arguments.parse_args()
    with reference(PROJECT) as real:
        now = recorded(real)
    if given.what == "record":
        lines = (
            f"  {json.dumps(name)}: {json.dumps(one, separators=(',', ':'))}"
            for name, one in now.pop("answers").items()
        )
        head = json.dumps(now, indent=1).removesuffix("\n}")
        ANSWERS.write_text(f'{head},\n "answers": {{\n' + ",\n".join(lines) + "\n }\n}\n")
        print(f"{now['questions']} answers in {ANSWERS}")
        return
    before = json.loads(ANSWERS.read_text())["answers"]
    changed = [*differences(before, now["answers"])]
    for steps, old, new in changed:
        print(f"{steps}: {old!r} -> {new!r}")
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
