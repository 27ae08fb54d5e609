"""Tokens that stand for a name and a password for a while, kept in memory only: a restart ends all of them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

MAX_TOKENS = 10_000
"""Further ones take the place of the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Who it stands for, from when until when (Unix seconds), and the name by which audits call it."""

    user: str
    issued: float
    expires: float
    audit_id: str


class Tokens:
    """The tokens that count, known by their digests."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[bytes, Token] = {}

    def issue(self, user: str, lifetime: float) -> tuple[str, Token]:
        """A new token of *user*, and what it says."""
        now = self._clock()
        self._make_room(now)
        secret = secrets.token_urlsafe(32)
        token = Token(
            user=user, issued=now, expires=now + lifetime, audit_id=secrets.token_urlsafe(12)
        )
        self._known[_digest(secret)] = token
        return secret, token

    def find(self, secret: str) -> Token | None:
        """What *secret* stands for, while it counts."""
        token = self._known.get(_digest(secret))
        return token if token is not None and token.expires > self._clock() else None

    def forget(self, secret: str) -> None:
        """It counts no more."""
        self._known.pop(_digest(secret), None)

    def _make_room(self, now: float) -> None:
        if len(self._known) < MAX_TOKENS:
            return
        self._known = {
            digest: token for digest, token in self._known.items() if token.expires > now
        }
        while len(self._known) >= MAX_TOKENS:
            del self._known[next(iter(self._known))]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
