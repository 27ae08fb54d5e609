"""Hooks: who is told of which events, and how.

What may hold a secret (a URL's path, headers, tokens) is kept out of every `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ipvs_lb.model.event import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A POST to `url`; `timeout` seconds for each of at most `attempts`. `headers` include the token's."""

    url: str = field(repr=False)
    timeout: float = 5.0
    attempts: int = 5
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """A program, run as `user` and killed after `timeout` seconds; never through a shell, never tried again."""

    command: tuple[str, ...]
    user: str = "nobody"
    timeout: float = 10.0


Action = Webhook | Exec


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Something that is told of `events` about `services` (None: about any, or about none) from `level` up.

    What happens to one service within `window` seconds is told in one call.
    """

    name: str
    action: Action
    events: frozenset[str]
    services: frozenset[str] | None = None
    level: Level = Level.INFO
    window: float = 1.0

    def wants(self, event: str, level: Level, service: str | None) -> bool:
        """Whether it is told of such an event about the *service* of that name, or about none."""
        if event not in self.events or not level.reaches(self.level):
            return False
        return self.services is None or service in self.services
