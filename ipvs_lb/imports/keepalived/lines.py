"""The lines of a keepalived.conf as keepalived sees them: comments gone, includes read, parameters filled in.

A line's mark is where its text stands, also when a parameter brings it in elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.keepalived.macros import (
    MacroError,
    comment_free,
    definition,
    reference,
    repeated,
)
from ipvs_lb.imports.sources import Source, Text

_INCLUDE = re.compile(r"include[rmwba]?\s+(\S.*)")
_CONDITION = re.compile(r"@(\^?)(\S+)\s*(.*)", re.DOTALL)
_RANDOM = re.compile(r"\$\{_RANDOM[^}]*\}")
_DEEPEST = 40
_LONGEST = 65_536
_MOST_REFERENCES = 10_000
MOST_LINES = 2_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line without comment, and where it stands."""

    text: str
    mark: Mark


class TooMuchError(ValueError):
    """Parameters or includes that come to too many lines, or go round in circles."""


@dataclass(slots=True)
class Reader:
    """Reads files; `config_id` is what `@NAME` at the start of a line is compared with."""

    source: Source
    config_id: str
    findings: Findings
    most_lines: int = MOST_LINES
    _values: dict[str, list[Line]] = field(default_factory=dict)
    _others: Counter[str] = field(default_factory=Counter)
    _first: dict[str, Mark] = field(default_factory=dict)
    _read: int = 0

    def lines(self, file: Text) -> Iterator[Line]:
        """The lines that count. Raises TooMuchError."""
        for name, value in (("_INSTANCE", self.config_id), ("_HASH", "#"), ("_BANG", "!")):
            self._set(name, value, Mark(file.name, 1))
        yield from self._file(file, 0)
        self._tell_conditions()

    def _file(self, file: Text, depth: int) -> Iterator[Line]:
        if depth > _DEEPEST:
            raise TooMuchError(f"{file.name}: files include each other without end")
        written = iter(enumerate(file.text.splitlines(), start=1))
        for number, raw in written:
            mark = Mark(file.name, number)
            self._set("_PWD", file.folder, mark)
            line = Line(comment_free(raw).strip(), mark)
            if match := _INCLUDE.fullmatch(line.text):
                yield from self._included(match[1], mark, file.folder, depth)
                continue
            block = [line]
            while block[-1].text.endswith("\\"):
                number, raw = next(written, (number, ""))  # noqa: PLW2901  # the definition goes on
                block.append(Line(comment_free(raw).strip(), Mark(file.name, number)))
            yield from self._written(block)

    def _included(self, pattern: str, mark: Mark, folder: str, depth: int) -> Iterator[Line]:
        files = self.source.find(pattern.strip("\"'"), folder)
        if not files and any(char in pattern for char in "*?["):
            self.findings.unneeded(mark, f"include {pattern}", "there are no such files")
        elif not files:
            self.findings.left_out(
                mark,
                f"include {pattern}",
                "no such file could be read",
                "import it on its own host",
            )
        for file in files:
            yield from self._file(file, depth + 1)
            self._set("_PWD", folder, mark)

    def _written(self, block: list[Line]) -> Iterator[Line]:
        """A line as it is written, or a definition over several lines."""
        if len(block) == 1:
            yield from self._line(block[0], 0)
            return
        lines = [Line(line.text.removesuffix("\\").rstrip(), line.mark) for line in block]
        head = self._condition(lines[0])
        if head is None and definition(_bare(lines[0].text)):
            return
        defined = definition(head.text) if head else None
        if defined is None:
            yield from (one for line in lines for one in self._line(line, 0))
            return
        name, value = defined
        first = [Line(value, lines[0].mark)] if value else []
        self._values[name] = [*first, *lines[1:]]

    def _line(self, line: Line, depth: int) -> Iterator[Line]:
        """What *line* comes to, once everything in it is filled in."""
        if depth > _DEEPEST:
            raise TooMuchError(f"{line.mark}: parameters refer to each other without end")
        for _ in range(_MOST_REFERENCES):
            kept = self._condition(line)
            if kept is None or not kept.text or self._defines(kept) or self._is_chance(kept):
                return
            if kept.text.startswith("~"):
                yield from self._repeated(kept, depth)
                return
            found = reference(kept.text, self._values)
            if found is None:
                yield self._counted(kept)
                return
            before, name, after = found
            values = self._values[name]
            if len(values) > 1:
                yield from self._spread(before, values, Line(after.strip(), kept.mark), depth)
                return
            line = self._short(Line(f"{before}{values[0].text}{after}".strip(), kept.mark))
        raise TooMuchError(f"{line.mark}: parameters refer to each other without end")

    def _defines(self, line: Line) -> bool:
        defined = definition(line.text)
        if defined is not None:
            self._set(*defined, line.mark)
        return defined is not None

    def _is_chance(self, line: Line) -> bool:
        if not _RANDOM.search(line.text):
            return False
        why = "_RANDOM is another number each time"
        self.findings.left_out(line.mark, line.text, why, "write the number")
        return True

    def _spread(self, before: str, values: list[Line], after: Line, depth: int) -> Iterator[Line]:
        """The lines of a parameter of several lines; what stands around it clings to the first and follows the last."""
        first, *rest = values
        for line in (self._short(Line(before + first.text, first.mark)), *rest, after):
            yield from self._line(line, depth + 1)

    def _short(self, line: Line) -> Line:
        if len(line.text) > _LONGEST:
            raise TooMuchError(f"{line.mark}: a line of more than {_LONGEST} characters")
        return line

    def _repeated(self, line: Line, depth: int) -> Iterator[Line]:
        try:
            found = repeated(line.text)
        except MacroError as error:
            self.findings.left_out(
                line.mark, line.text, str(error), "write the lines it stands for"
            )
            return
        if found is None:
            yield self._counted(line)
            return
        bindings, rest = found
        for binding in bindings:
            for name, value in binding.items():
                self._set(name, value, line.mark)
            yield from self._line(Line(rest, line.mark), depth + 1)

    def _condition(self, line: Line) -> Line | None:
        """*line* without its condition; None when that says it is for another machine."""
        match = _CONDITION.fullmatch(line.text)
        if match is None:
            return line
        negated, name, rest = match.groups()
        if (name == self.config_id) == bool(negated):
            self._others[f"@{negated}{name}"] += 1
            self._first.setdefault(f"@{negated}{name}", line.mark)
            return None
        return self._condition(Line(rest, line.mark))

    def _tell_conditions(self) -> None:
        for name, count in self._others.items():
            self.findings.changed(
                self._first[name],
                f"lines for {name}",
                f"{count} from here on are not for this machine, whose config-id is {self.config_id}",
                "--config-id NAME reads the file as another machine does",
            )

    def _set(self, name: str, value: str, mark: Mark) -> None:
        self._values[name] = [Line(value, mark)]

    def _counted(self, line: Line) -> Line:
        self._read += 1
        if self._read > self.most_lines:
            raise TooMuchError(f"{line.mark}: more than {self.most_lines} lines")
        return line


def _bare(text: str) -> str:
    """*text* without the conditions that it starts with."""
    match = _CONDITION.fullmatch(text)
    return _bare(match[3]) if match else text
