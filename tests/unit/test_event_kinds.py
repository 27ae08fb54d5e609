"""The catalogue of events: complete, and as the code tells them. tests/conftest.py holds every told event against it."""

import ast
import os
from pathlib import Path

import pytest

from ipvs_lb.event_kinds import KINDS, EventKind, page
from ipvs_lb.events import Event, Level
from ipvs_lb.model.event import EVENTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "events.md"
TELLING = {"Story", "_tell", "told", "tell", "note", "warn"}
NAMES = {kind.name for kind in KINDS}


def told_in(source):
    """The names of events in *source*: texts like `server.up` that are given to something that tells."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            if called in TELLING and node.args:
                yield from texts(node.args[0])
        elif isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == [
            "name"
        ]:
            yield from texts(node.value)


def texts(node):
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and "." in one.value:
            yield one.value


def test_every_event_that_the_code_tells_is_in_the_catalogue_and_no_other():
    folders = ("api", "engine", "daemon", "hooks", "octavia")
    files = [path for folder in folders for path in (ROOT / "ipvs_lb" / folder).rglob("*.py")]
    told = {name for path in files for name in told_in(path.read_text())}
    assert told >= NAMES
    assert {name for name in told - NAMES if name.islower() and " " not in name} == set()


def test_the_catalogue_has_every_name_that_a_configuration_knows_and_no_other():
    assert set(EVENTS) == NAMES


def test_the_page_is_as_the_catalogue_is():
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


KIND = EventKind("a.happened", (Level.INFO,), "", {"what": "", "why?": ""})


@pytest.mark.parametrize(
    ("level", "facts", "against"),
    [
        (Level.INFO, {"what": 1}, ""),
        (Level.INFO, {"what": 1, "why": 2}, ""),
        (Level.ERROR, {"what": 1}, "a.happened has level error"),
        (Level.INFO, {}, "a.happened has unknown facts or lacks some: ['what']"),
        (Level.INFO, {"what": 1, "who": 2}, "a.happened has unknown facts or lacks some: ['who']"),
    ],
    ids=["as it should be", "more", "level", "less", "unknown"],
)
def test_an_event_is_of_its_kind_or_what_speaks_against_it_is_told(level, facts, against):
    event = Event(number=1, at=0.0, name="a.happened", level=level, facts=facts)
    assert KIND.against(event) == against
