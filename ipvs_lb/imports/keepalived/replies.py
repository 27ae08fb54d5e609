"""The bytes of UDP_CHECK: hex digits in groups, where an odd digit stands for a byte and x for any four bits."""

from __future__ import annotations

_HEX = frozenset("0123456789abcdef")


def hex_bytes(text: str) -> bytes:
    """The bytes that *text* stands for. Raises ValueError."""
    expect, mask = masked(text)
    if mask.strip(b"\xff"):
        raise ValueError(f'expected hex digits, found "{text}"')
    return expect


def masked(text: str) -> tuple[bytes, bytes]:
    """The bytes that *text* stands for, and which bits of them count. Raises ValueError."""
    digits = "".join(_even(group) for group in text.lower().split())
    if not set(digits) <= _HEX | {"x"}:
        raise ValueError(f'expected hex digits, found "{text}"')
    expect = bytes.fromhex(digits.replace("x", "0"))
    mask = bytes.fromhex("".join("0" if digit == "x" else "f" for digit in digits))
    return expect, mask


def _even(group: str) -> str:
    """Whole bytes: the last digit of an odd number of them is a byte of its own, `Ab12f` is ab 12 0f."""
    return group if len(group) % 2 == 0 else f"{group[:-1]}0{group[-1]}"
