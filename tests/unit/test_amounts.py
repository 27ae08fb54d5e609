"""Numbers and times are said as people say them."""

from __future__ import annotations

import pytest

from ipvs_lb.amounts import duration, plural, short


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (9949, "9.9k"),
        (9950, "10k"),
        (999499, "999k"),
        (999500, "1.0M"),
        (12_345_678_901, "12G"),
        (2**64 - 1, "18E"),
        (10**22, "10000E"),
    ],
)
def test_big_numbers_are_shortened(number: int, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(0.04, "0 s", id="nothing"),
        pytest.param(1.26, "1.3 s", id="tenths"),
        pytest.param(12.4, "12 s", id="seconds"),
        pytest.param(60, "1 m", id="a-minute"),
        pytest.param(185, "3 m 5 s", id="minutes"),
        pytest.param(7800, "2 h 10 m", id="hours"),
        pytest.param(273_600, "3 d 4 h", id="days"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_is_not_many() -> None:
    assert [plural(number, "server") for number in (0, 1, 2)] == [
        "0 servers",
        "1 server",
        "2 servers",
    ]
