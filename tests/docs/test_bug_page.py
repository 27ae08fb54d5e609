"""docs/explanation/other-peoples-bugs.md: the tests it names are there, and name the complaints in turn."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache

import pytest

from tests.docs.readme import ROOT

PAGE = ROOT / "docs" / "explanation" / "other-peoples-bugs.md"
UNTESTED = ("Not yet", "Does not apply")
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_TRACKER = re.compile(r"([a-z-]+)((?: #\d+)+)")


@dataclass(frozen=True, slots=True)
class Row:
    """A complaint."""

    symptom: str
    trackers: str
    rule: str
    tests: str


def rows() -> list[Row]:
    """Every complaint of the page."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines[1:]]


def issues(text: str) -> set[tuple[str, str]]:
    """Which issues of which projects a text names."""
    return {
        (project, number)
        for project, numbers in _TRACKER.findall(" ".join(text.split()))
        for number in numbers.split()
    }


@cache
def docstrings(path: str) -> dict[str, str]:
    """The docstring of every function in a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name: ast.get_docstring(function) or "" for function in functions}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.symptom[:40])
def test_every_complaint_has_a_test_that_names_it_or_says_why_not(row: Row) -> None:
    tests = _TEST.findall(row.tests)
    if not tests:
        assert row.tests == "none"
        assert row.rule.startswith(UNTESTED)
        return
    missing = [f"{path}::{name}" for path, name in tests if name not in docstrings(path)]
    assert missing == []
    named = set().union(*(issues(docstrings(path)[name]) for path, name in tests))
    assert issues(row.trackers) - named == set()


def test_the_page_has_them_all() -> None:
    assert len(rows()) > 30
    assert len({row.symptom for row in rows()}) == len(rows())
