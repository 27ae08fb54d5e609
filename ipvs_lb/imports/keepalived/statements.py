"""Lines as statements: words, and for some a block of further statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.keepalived.lines import Line
from ipvs_lb.imports.keepalived.words import Word, words


@dataclass(slots=True)
class Statement:
    """A keyword with its values and its block, if it has one."""

    words: list[str]
    mark: Mark
    block: list[Statement] | None = None

    @property
    def keyword(self) -> str:
        """What it is about."""
        return self.words[0] if self.words else ""

    @property
    def values(self) -> list[str]:
        """The words after the keyword."""
        return self.words[1:]

    @property
    def value(self) -> str:
        """The first word after the keyword; empty when there is none."""
        return self.words[1] if len(self.words) > 1 else ""

    @property
    def title(self) -> str:
        """As it is written, without the block."""
        return " ".join(self.words)


@dataclass(slots=True)
class _Builder:
    """The blocks that are open, the whole file first; `owners` are those that opened all but that."""

    findings: Findings
    blocks: list[list[Statement]] = field(default_factory=lambda: [[]])
    owners: list[Statement] = field(default_factory=list)
    current: Statement | None = None

    def take(self, word: Word, mark: Mark) -> None:
        if word.opens:
            self._enter(mark)
        elif word.closes:
            self._leave(mark)
        elif self.current is None:
            self.current = Statement([word.text], mark)
            self.blocks[-1].append(self.current)
        else:
            self.current.words.append(word.text)

    def end_line(self) -> None:
        self.current = None

    def _enter(self, mark: Mark) -> None:
        """Open the block of this line's statement, or of the last one: the brace may stand on a line of its own."""
        siblings = self.blocks[-1]
        if not siblings or siblings[-1].block is not None:
            siblings.append(Statement([], mark))
        owner = siblings[-1]
        owner.block = []
        self.blocks.append(owner.block)
        self.owners.append(owner)
        self.current = None

    def _leave(self, mark: Mark) -> None:
        self.current = None
        if self.owners:
            self.blocks.pop()
            self.owners.pop()
            return
        self.findings.changed(mark, "}", "there is no block for it to close", "take it out")

    def end(self) -> list[Statement]:
        for owner in self.owners:
            self.findings.changed(
                owner.mark, owner.title, "its block has no end", "add the missing }"
            )
        return self.blocks[0]


def statements(lines: Iterable[Line], findings: Findings) -> list[Statement]:
    """The statements of the whole file."""
    builder = _Builder(findings)
    for line in lines:
        for word in words(line.text):
            builder.take(word, line.mark)
        builder.end_line()
    return builder.end()


class Block:
    """The statements of one block, taken out one keyword after the other: what is left at the end is not understood."""

    def __init__(self, statement: Statement) -> None:
        self.mark = statement.mark
        self._left = list(statement.block or ())

    def every(self, *keywords: str) -> list[Statement]:
        """Take all statements with one of *keywords*, in the order of the file."""
        found = [one for one in self._left if one.keyword in keywords]
        if found:
            self._left = [one for one in self._left if one.keyword not in keywords]
        return found

    def last(self, *keywords: str) -> Statement | None:
        """Take the statements with one of *keywords*; the last one counts."""
        found = self.every(*keywords)
        return found[-1] if found else None

    def rest(self) -> list[Statement]:
        """What has not been taken."""
        return self._left
