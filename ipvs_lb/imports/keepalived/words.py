"""The words of a line: quotes hold together what spaces part, a brace alone opens or closes a block."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_SPECIAL = frozenset("\"'\\")
_NUMBER = re.compile(r"[0-7]{1,3}|x[0-9A-Fa-f]+")
ESCAPED = frozenset(
    {"misc_path", "notify_down", "notify_up", "quorum_down", "quorum_up", "regex", "script"}
)
"""First words of lines in which a backslash has a meaning."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word; one in quotes is never a brace."""

    text: str
    quoted: bool = False

    @property
    def opens(self) -> bool:
        """Whether it opens a block."""
        return self.text == "{" and not self.quoted

    @property
    def closes(self) -> bool:
        """Whether it closes one."""
        return self.text == "}" and not self.quoted


def words(line: str) -> list[Word]:
    """The words of *line*."""
    if not _SPECIAL.intersection(line):
        return [part for word in line.split() for part in _parted(Word(word))]
    scan = _Scan(line, escapes=line.split(maxsplit=1)[0] in ESCAPED if line else False)
    return [part for word in scan.words() for part in _parted(word)]


def _parted(word: Word) -> list[Word]:
    """A brace that clings to the end of a word is one of its own: `80{`."""
    if not word.quoted and len(word.text) > 1 and word.text.endswith("{"):
        return [Word(word.text[:-1]), Word("{")]
    return [word]


class _Scan:
    """One line, read from left to right."""

    def __init__(self, line: str, *, escapes: bool) -> None:
        self._line = line
        self._at = 0
        self._escapes = escapes

    def words(self) -> list[Word]:
        found = []
        while self._skip_space():
            found.append(self._word())
        return found

    def _skip_space(self) -> bool:
        while self._at < len(self._line) and self._line[self._at].isspace():
            self._at += 1
        return self._at < len(self._line)

    def _word(self) -> Word:
        chars: list[str] = []
        quoted, quote = False, ""
        while self._at < len(self._line):
            char = self._line[self._at]
            if char.isspace() and not quote:
                break
            self._at += 1
            if char == "\\" and self._escapes:
                chars.append(self._escape())
            elif char == quote:
                quote = ""
            elif char in "\"'" and not quote:
                quoted, quote = True, char
            else:
                chars.append(char)
        return Word("".join(chars), quoted)

    def _escape(self) -> str:
        """The character that the escape after a backslash stands for."""
        if match := _NUMBER.match(self._line, self._at):
            self._at = match.end()
            digits = match[0]
            return chr(int(digits[1:], 16) & 0xFF if digits[0] == "x" else int(digits, 8) & 0xFF)
        char = self._line[self._at : self._at + 1]
        self._at += 1
        return _ESCAPES.get(char, char)
