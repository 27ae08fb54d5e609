"""Rules of ipvsadm, as `ipvsadm -S` prints and `ipvsadm -R` reads them: a command line each line.

    for rule in read_rules(text):
        rule.number, rule.command        # AddService, AddServer; any change ipvsadm knows

Words stand between blanks, the word `ipvsadm` is left out wherever it stands, and so is what begins with a `#`
(which ipvsadm itself does not understand).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ipvs_lb.commands import Command
from ipvs_lb.errors import RuleError
from ipvs_lb.ipvsadm.parse import parse
from ipvs_lb.ipvsadm.request import Change
from ipvs_lb.ipvsadm.words import NUMERIC, Names


@dataclass(frozen=True, slots=True)
class Rule:
    """What a line changes; lines count from 1."""

    number: int
    command: Command


@dataclass(frozen=True, slots=True)
class BadRule:
    """A line that changes nothing, and why, in ipvsadm's words."""

    number: int
    reason: str


def split_rule(line: str) -> list[str]:
    """The arguments of ipvsadm in a line; none in an empty one or a comment."""
    words = line.split()
    comment = next((i for i, word in enumerate(words) if word.startswith("#")), len(words))
    return [word for word in words[:comment] if word != "ipvsadm"]


def parse_rule(line: str, names: Names = NUMERIC) -> Command | None:
    """What *line* changes; None where it says nothing. Raises RuleError."""
    words = split_rule(line)
    if not words:
        return None
    request = parse(words, names)
    if not isinstance(request, Change):
        raise RuleError(f"{words[0]} changes nothing")
    return request.command


def read_rules(text: str, names: Names = NUMERIC) -> Iterator[Rule | BadRule]:
    """Every line of *text* that says something, in order; what is wrong with one is no harm to the others."""
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            command = parse_rule(line, names)
        except RuleError as refused:
            yield BadRule(number, str(refused))
        else:
            if command is not None:
                yield Rule(number, command)
