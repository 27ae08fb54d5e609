"""Prometheus' text format, version 0.0.4. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from ipvs_lb.model.activity import Distribution

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Kind(enum.StrEnum):
    """What a family's numbers do: only grow, go up and down, or count values by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Series of one name: what they mean, in which unit (empty: a plain number), and by which labels they differ."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    of_server: bool = False

    @property
    def head(self) -> str:
        """The lines that introduce its series."""
        return f"# HELP {self.name} {_plain(self.meaning)}\n# TYPE {self.name} {self.kind}\n"

    def line(self, value: float, *labels: str) -> str:
        """One series with the values of its labels, in their order."""
        return self.set_line(value, self.set_of(*labels))

    def set_of(self, *labels: str) -> str:
        """The labels of one series, in braces; nothing where there are none."""
        pairs = zip(self.labels, labels, strict=True)
        return "{" + ",".join([f'{name}="{quoted(one)}"' for name, one in pairs]) + "}"

    def set_line(self, value: float, labels: str) -> str:
        """As `line`, with labels that are a set already."""
        shown = labels if self.labels else ""
        return f"{self.name}{shown} {value}\n"

    def histogram(self, counted: Distribution, *labels: str) -> Iterator[str]:
        """The series of a distribution: how many up to each bound, all in all, and their sum."""
        own = [f'{name}="{quoted(one)}"' for name, one in zip(self.labels, labels, strict=True)]
        shown = "{" + ",".join(own) + "}" if own else ""
        *up_to, every = accumulate(counted.counts)
        bounds = [*map(repr, counted.bounds), "+Inf"]
        for bound, number in zip(bounds, [*up_to, every], strict=True):
            pairs = ",".join([*own, f'le="{bound}"'])
            yield f"{self.name}_bucket{{{pairs}}} {number}\n"
        yield f"{self.name}_sum{shown} {counted.total}\n"
        yield f"{self.name}_count{shown} {every}\n"


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def quoted(text: str) -> str:
    """*text* as it stands between the quotes of a label's value."""
    if "\\" in text or '"' in text or "\n" in text:
        return _plain(text).replace('"', '\\"')
    return text
