"""The lines of an ldirectord.cf: settings of the file, and virtual services with their indented settings.

The rules are ldirectord's own: what belongs to a virtual service is indented by a tab or four spaces, and the first
line that is not ends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ipvs_lb.imports.findings import Findings, Mark

_SETTING = re.compile(r"([A-Za-z0-9-]+)\s*=\s*(.*)")
_QUOTED = re.compile(r'"(.*)"')
_BARE = frozenset({"supervised"})


@dataclass(frozen=True, slots=True)
class Setting:
    """`KEY = VALUE`, and where it stands."""

    key: str
    value: str
    mark: Mark

    @property
    def plain(self) -> str:
        """The value without the quotes around it."""
        match = _QUOTED.search(self.value)
        return match[1] if match else self.value

    @property
    def title(self) -> str:
        """As messages name it."""
        return f"{self.key}={self.value}"


@dataclass(slots=True)
class Section:
    """Settings taken out one after the other: what is left at the end is not understood. The last of a kind counts."""

    title: str
    mark: Mark
    written: list[Setting] = field(default_factory=list)

    def every(self, *keys: str) -> list[Setting]:
        """Take the settings with one of *keys*."""
        found = [one for one in self.written if one.key in keys]
        self.written = [one for one in self.written if one.key not in keys]
        return found

    def last(self, *keys: str) -> Setting | None:
        """Take the settings with one of *keys*; the last one counts."""
        found = self.every(*keys)
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Written:
    """The settings of the file, and its virtual services; those are titled `virtual=...` or `virtual6=...`."""

    general: Section
    virtuals: list[Section]


def read(text: str, name: str, findings: Findings) -> Written:
    """What *text* says; lines that are no settings are told."""
    general = Section("", Mark(name, 1))
    virtuals: list[Section] = []
    inside = False
    for number, raw in enumerate(text.splitlines(), start=1):
        mark = Mark(name, number)
        line = raw.replace("\t", "    ")
        if line.lstrip().startswith("#"):
            continue
        indented = line.startswith("    ")
        line = _without_comment(line, indented=indented).strip()
        inside = inside and indented and bool(line)
        if not line:
            continue
        setting = _setting(line, mark)
        if setting is None:
            findings.left_out(mark, line, "this is no setting")
        elif setting.key in {"virtual", "virtual6"} and not indented:
            virtuals.append(Section(setting.title, mark, []))
            inside = True
        else:
            (virtuals[-1] if inside else general).written.append(setting)
    return Written(general, virtuals)


def _without_comment(line: str, *, indented: bool) -> str:
    """Within a virtual service # starts a comment anywhere."""
    return line.partition("#")[0] if indented else line


def _setting(line: str, mark: Mark) -> Setting | None:
    match = _SETTING.fullmatch(line)
    if match:
        return Setting(match[1], match[2].strip(), mark)
    return Setting(line, "yes", mark) if line in _BARE else None
