"""A verdict from an answer that is complete in one piece, as most are; everything unusual is left to `http.Answer`."""

from __future__ import annotations

import re

from ipvs_lb.probes.http import MAX_FIELDS

_MAX_PIECE = 4096  # less than any line may be long
# A final status line (not 1xx, which announces another), fields and folded lines, the empty line.
_HEAD = re.compile(
    rb"HTTP/1\.[0-9] ([2-9][0-9]{2})(?: [^\n]*)?\r?\n"
    rb"(?:(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:|[ \t])[^\n]*\n)*+\r?\n"
)


def whole_head(buffer: bytearray, length: int) -> int | None:
    """The final status that the first *length* bytes of *buffer* give with a whole, well-formed head.

    None when it takes a closer look to know.
    """
    if length > _MAX_PIECE:
        return None
    match = _HEAD.match(buffer, 0, length)
    if match is None or buffer.count(b"\n", 0, match.end()) > MAX_FIELDS:
        return None
    return int(match[1])
