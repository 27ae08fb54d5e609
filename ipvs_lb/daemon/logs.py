"""Events as log lines: readable on a terminal, JSON for a log collector."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ipvs_lb.events import Event, Level


def _without_rich() -> None:
    """structlog imports rich where there is one, for tracebacks, which are never logged here: 5 MB for nothing."""
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # the way to say that there is none
    import structlog.dev  # noqa: F401  # as long as there is none

    del sys.modules["rich"]


_without_rich()
import structlog  # noqa: E402  # not before

_METHODS = {Level.INFO: "info", Level.WARNING: "warning", Level.ERROR: "error"}


def logger() -> Callable[[Event], None]:
    """Writes one line to standard error for every event."""
    on_terminal = sys.stderr.isatty()
    render = structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    log = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
    )

    def write(event: Event) -> None:
        method = getattr(log, _METHODS[event.level])
        facts = {name: fact for name, fact in event.facts.items() if fact not in {None, ""}}
        method(event.name, number=event.number, **facts)

    return write
