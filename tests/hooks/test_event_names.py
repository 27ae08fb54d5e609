"""There is one list of event names, and it is complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipvs_lb
from ipvs_lb.events import Level
from ipvs_lb.model.event import EVENTS, HOOKABLE
from ipvs_lb.model.hooks import Exec, Hook

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"[a-z]+\.[a-z_]+")
_NO_EVENTS = {"state.db"}


def names_in(path: Path) -> Iterator[str]:
    """The words in *path* that look like names of events."""
    for node in ast.walk(ast.parse(path.read_text())):
        word = node.value if isinstance(node, ast.Constant) else None
        if isinstance(word, str) and _NAME.fullmatch(word) and word not in _NO_EVENTS:
            yield word


def told() -> set[str]:
    """What the modules that tell events tell."""
    package = Path(str(ipvs_lb.__file__)).parent
    modules = [
        *(package / "engine").glob("*.py"),
        *(package / "daemon").glob("*.py"),
        *(package / "hooks").glob("*.py"),
        *(package / "octavia").rglob("*.py"),
        *(path for path in (package / "api").glob("*.py") if ".warn(" in path.read_text()),
    ]
    return {name for module in modules for name in names_in(module)}


def test_every_event_that_is_told_is_in_the_list_and_no_other():
    assert told() == set(EVENTS)


def test_the_list_is_in_order_and_every_event_has_its_meaning():
    assert list(EVENTS) == sorted(EVENTS)
    assert all(meaning.endswith(".") for meaning in EVENTS.values())


def test_hooks_are_told_of_everything_but_hooks():
    assert set(EVENTS) - set(HOOKABLE) == {"hook.failed"}


def test_the_how_to_has_the_list():
    rows = re.findall(
        r"^\| `([a-z.]+)` \| (.*) \|$", (ROOT / "docs/how-to/hooks.md").read_text(), re.M
    )
    assert dict(rows) == {name: EVENTS[name] for name in HOOKABLE}


@pytest.mark.parametrize(
    ("level", "least", "reaches"),
    [
        (Level.INFO, Level.INFO, True),
        (Level.INFO, Level.WARNING, False),
        (Level.ERROR, Level.WARNING, True),
        (Level.WARNING, Level.ERROR, False),
    ],
)
def test_levels_have_an_order(level, least, reaches):
    assert level.reaches(least) is reaches


@pytest.mark.parametrize(
    ("event", "level", "service", "wanted"),
    [
        ("server.up", Level.WARNING, "web", True),
        ("server.down", Level.WARNING, "web", False),
        ("server.up", Level.INFO, "web", False),
        ("server.up", Level.WARNING, "mail", False),
        ("server.up", Level.WARNING, None, False),
    ],
)
def test_a_hook_wants_what_is_selected(event, level, service, wanted):
    hook = Hook(
        name="a",
        action=Exec(command=("/x",)),
        events=frozenset({"server.up"}),
        services=frozenset({"web"}),
        level=Level.WARNING,
    )
    assert hook.wants(event, level, service) is wanted
