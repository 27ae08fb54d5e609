"""Events as log lines, off a terminal and on one."""

from __future__ import annotations

import json
import os
from datetime import datetime

import pytest

from ipvs_lb.daemon.logs import logger
from ipvs_lb.events import Event, Level

DOWN = Event(
    number=7,
    at=1_700_000_000.0,
    name="server.down",
    level=Level.WARNING,
    facts={"server": "10.0.0.4:80", "weight": 0, "adopted": False, "detail": "", "error": None},
)


def test_off_a_terminal_every_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    write = logger()
    write(DOWN)
    write(DOWN)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 2
    assert datetime.fromisoformat(lines[0].pop("timestamp")).tzinfo is not None
    assert lines[0] == {
        "event": "server.down",
        "level": "warning",
        "number": 7,
        "server": "10.0.0.4:80",
        "weight": 0,
        "adopted": False,
    }


@pytest.mark.parametrize("level", Level)
def test_a_line_has_the_level_of_its_event(
    level: Level, capsys: pytest.CaptureFixture[str]
) -> None:
    logger()(Event(number=1, at=0.0, name="plan.applied", level=level))
    assert json.loads(capsys.readouterr().err)["level"] == level.value


def test_a_fact_cannot_begin_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"detail": 'x\n{"event": "server.up"}'}
    logger()(Event(number=1, at=0.0, name="server.down", facts=facts))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_nothing_is_written_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    logger()(DOWN)
    assert capsys.readouterr().out == ""


def test_on_a_terminal_a_line_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    try:
        with open(theirs, "w") as terminal:  # noqa: PTH123  # a descriptor, not a path
            monkeypatch.setattr("sys.stderr", terminal)
            logger()(DOWN)
            shown = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
    assert "server.down" in shown
    assert "10.0.0.4:80" in shown
    assert not shown.startswith("{")
