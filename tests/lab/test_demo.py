"""When the demo is content."""

from __future__ import annotations

import pytest

from ipvs_lb.lab.demo import alternates


@pytest.mark.parametrize(
    ("servers", "right"),
    [
        ("1212", True),
        ("2121", True),
        ("1221", False),
        ("1111", False),
        ("1313", False),
        ("", False),
    ],
)
def test_answers_alternate_only_when_both_servers_answer_in_turn(
    servers: str, *, right: bool
) -> None:
    assert alternates([f"server-{number}" for number in servers]) is right
