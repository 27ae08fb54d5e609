"""Numbers and times as people say them."""

from __future__ import annotations

_THOUSAND = 1000
_UNITS = (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1))


def plural(number: int, noun: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short(number: int) -> str:
    """*number* in at most five characters: 950, 1.2k, 34k, 5.6M."""
    if number < _THOUSAND:
        return str(number)
    amount = float(number)
    for unit in "kMGTPE":
        amount /= _THOUSAND
        if amount < 9.95:  # noqa: PLR2004  # below, one decimal is shown
            return f"{amount:.1f}{unit}"
        if amount < _THOUSAND - 0.5:
            return f"{amount:.0f}{unit}"
    return f"{amount:.0f}E"


def duration(seconds: float) -> str:
    """A time as people say it: `0.4 s`, `12 s`, `3 m 5 s`, `2 h 10 m`, `3 d 4 h`."""
    if seconds < 10:  # noqa: PLR2004  # where tenths still matter
        return f"{round(seconds, 1):g} s"
    left = round(seconds)
    for unit, size, smaller, smaller_size in _UNITS:
        if left >= size:
            rest = left % size // smaller_size
            return f"{left // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{left} s"
