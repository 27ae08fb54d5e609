"""What the process that holds a lab is told when it starts, and how it tells that the lab is up."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipvs_lb.errors import LabError, LBError

_NEWS = "ipvs-lb lab: "
"""How the one line begins that is not for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The lab to build. `kernel` is a kind of `ipvs_lb.lab.guest`; `line` is the serial line in a guest.

    With `is_leashed` the lab ends when standard input does.
    """

    name: str
    config: str
    others: tuple[str, ...] = ()
    timing: Mapping[str, str | int] = field(default_factory=dict)
    slack: float = 0.0
    kernel: str = "host"
    line: str | None = None
    is_leashed: bool = False
    memory: str = "1G"

    @property
    def config_path(self) -> Path:
        """The configuration's."""
        return Path(self.config)

    @property
    def other_paths(self) -> tuple[Path, ...]:
        """Those of the configurations that may be read later."""
        return tuple(map(Path, self.others))

    def to_json(self) -> str:
        """As one word of a command line."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> Settings:
        """Out of that."""
        raw = json.loads(text)
        return Settings(**{**raw, "others": tuple(raw["others"])})


def ready() -> None:
    """Tell that the lab is up; from then on nothing that is said reaches anybody."""
    _tell({})
    _be_silent()


def failed(error: LBError) -> None:
    """Tell why there is no lab."""
    _tell({"error": told_error(error)})


def told_error(error: LBError) -> dict[str, object]:
    """An error as it is told."""
    return {"message": str(error), "hint": error.hint, "exit_code": error.exit_code}


def error_of(told: Mapping[str, Any]) -> LBError:
    """The error that was told."""
    error = LabError(told["message"], hint=told["hint"])
    error.exit_code = told["exit_code"]
    return error


def _tell(news: Mapping[str, object]) -> None:
    sys.stdout.write(f"{_NEWS}{json.dumps(news)}\n")
    sys.stdout.flush()


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def news_of(line: str) -> Mapping[str, Any] | None:
    """What a line of the holder tells; None when it is for people."""
    if not line.startswith(_NEWS):
        return None
    news: Mapping[str, Any] = json.loads(line.removeprefix(_NEWS))
    return news
