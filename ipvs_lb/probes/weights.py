"""Weights that programs and files give: absolute, clamped to what the kernel takes."""

from __future__ import annotations

import re

from ipvs_lb.model.results import ErrorClass
from ipvs_lb.model.settings import MAX_WEIGHT
from ipvs_lb.probes.failures import ProbeFailure, quoted

_NUMBER = re.compile(rb"[+-]?[0-9]{1,18}")


def parse_weight(text: bytes) -> int:
    """The weight in *text*, 0 to 65535. Raises ProbeFailure (WEIGHT) when it is not one whole number."""
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
        raise ProbeFailure(ErrorClass.WEIGHT, f"not a weight: {quoted(stripped)}")
    return max(0, min(int(stripped), MAX_WEIGHT))
