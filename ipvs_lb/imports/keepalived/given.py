"""Values of statements: numbers, times, yes and no, addresses; what makes no sense is told and counts as not given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ipvs_lb.config import values
from ipvs_lb.imports.findings import Findings
from ipvs_lb.imports.keepalived.statements import Block, Statement
from ipvs_lb.model.identity import IPAddress, Port

T = TypeVar("T")
_YES = frozenset({"", "on", "true", "yes"})
_NO = frozenset({"off", "false", "no"})


class Giver:
    """Takes values out of a block; *owner* is what messages call the block."""

    def __init__(self, block: Block, owner: str, findings: Findings) -> None:
        self.block = block
        self.owner = owner
        self.findings = findings

    def what(self, statement: Statement) -> str:
        """*statement* as messages name it."""
        return f"{self.owner}: {statement.title}"

    def value(self, read: Callable[[str], T], *keywords: str) -> T | None:
        """The value of the last statement with one of *keywords*; None when there is none, or no sense in it."""
        statement = self.block.last(*keywords)
        if statement is None:
            return None
        try:
            return read(statement.value)
        except ValueError as error:
            self.findings.left_out(statement.mark, self.what(statement), str(error))
            return None

    def number(self, *keywords: str) -> int | None:
        """A whole number."""
        return self.value(whole, *keywords)

    def seconds(self, *keywords: str) -> float | None:
        """A time in seconds."""
        return self.value(seconds, *keywords)

    def address(self, *keywords: str) -> IPAddress | None:
        """The address of a host."""
        return self.value(values.address, *keywords)

    def port(self, *keywords: str) -> Port | None:
        """A port."""
        return self.value(values.port, *keywords)

    def text(self, *keywords: str) -> str | None:
        """Any text."""
        return self.value(str, *keywords)

    def flag(self, *keywords: str) -> bool | None:
        """Yes or no; the keyword alone is yes."""
        return self.value(truth, *keywords)

    def unneeded(self, why: str, *keywords: str) -> None:
        """Take statements that nothing is lost with."""
        for statement in self.block.every(*keywords):
            self.findings.unneeded(statement.mark, self.what(statement), why)

    def left_out(self, why: str, todo: str, *keywords: str) -> None:
        """Take statements that have no counterpart."""
        for statement in self.block.every(*keywords):
            self.findings.left_out(statement.mark, self.what(statement), why, todo)

    def end(self) -> None:
        """Tell what nobody has taken."""
        for statement in self.block.rest():
            self.findings.left_out(
                statement.mark, self.what(statement), "not known here", "look up what it is for"
            )


def whole(text: str) -> int:
    """A whole number from 0 on. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'expected a whole number, found "{text}"')
    return int(text)


def seconds(text: str) -> float:
    """A time in seconds, with fractions. Raises ValueError."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 10**9:
        raise ValueError(f'expected seconds, found "{text}"')
    return round(found, 6)


def truth(text: str) -> bool:
    """Yes or no. Raises ValueError."""
    word = text.lower()
    if word in _YES | _NO:
        return word in _YES
    raise ValueError(f'expected yes or no, found "{text}"')
