"""How long to wait before an attempt is made again. Pure."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST = 60.0
"""Seconds between two attempts at most, unless the receiver asks for more."""

LONGEST_ASKED = 300.0
"""Seconds a receiver's Retry-After can ask for at most."""


def pause(attempt: int, chance: float, asked: float = 0.0) -> float:
    """Seconds after the failed *attempt* (1, 2, ...): 1, 2, 4 ... 60, of which *chance* (0 to 1) takes up to a half.

    What the receiver *asked* for counts where it is longer.
    """
    longest = min(2.0 ** (attempt - 1), LONGEST)
    return max(longest * (1 - chance / 2), min(asked, LONGEST_ASKED))


def asked_for(retry_after: str | None, now: float) -> float:
    """The seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); 0 when it makes no sense."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_ASKED)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:  # the header says GMT in a way that means nothing to email
        until = until.replace(tzinfo=UTC)
    return min(max(until.timestamp() - now, 0.0), LONGEST_ASKED)
