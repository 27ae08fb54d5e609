"""Password hashes: scrypt (RFC 7914), made so that guessing costs memory and time.

As text: `scrypt$LOG2_N$R$P$SALT$HASH`, salt and hash in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

LOG2_COST = 15
BLOCK, PARALLEL = 8, 1
SALT_BYTES = 16
HASH_BYTES = 32
MAX_PASSWORD = 1024
"""Bytes of a password that are looked at; a longer one is wrong."""
_MAX_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordHash:
    """What is known of a password."""

    log2_cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.log2_cost}${self.block}${self.parallel}${salt}${digest}"

    def matches(self, password: str) -> bool:
        """Whether *password* is the right one; takes about as long whatever it is."""
        given = password.encode(errors="replace")
        found = _scrypt(given[:MAX_PASSWORD], self)
        return hmac.compare_digest(found, self.digest) and len(given) <= MAX_PASSWORD


def hashed(password: str, salt: bytes) -> PasswordHash:
    """The hash of a new password."""
    blank = PasswordHash(
        log2_cost=LOG2_COST, block=BLOCK, parallel=PARALLEL, salt=salt, digest=bytes(HASH_BYTES)
    )
    digest = _scrypt(password.encode(), blank)
    return PasswordHash(
        log2_cost=LOG2_COST, block=BLOCK, parallel=PARALLEL, salt=salt, digest=digest
    )


def parse(text: str) -> PasswordHash:
    """The inverse of `str(hash)`. Raises ValueError."""
    kind, *parts = text.split("$")
    if kind != "scrypt" or len(parts) != 5:  # noqa: PLR2004  # as the form says
        raise ValueError("expected a hash as `ipvs-lb octavia password` prints it")
    try:
        log2_cost, block, parallel = (int(part) for part in parts[:3])
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[3:])
    except (ValueError, binascii.Error):
        raise ValueError("the hash is damaged") from None
    if not (1 <= log2_cost <= 24 and 1 <= block <= 32 and 1 <= parallel <= 16):  # noqa: PLR2004  # bounds, below
        raise ValueError("the hash asks for more work than can be done")
    if not (salt and len(digest) == HASH_BYTES) or 128 * block << log2_cost > _MAX_MEMORY:
        raise ValueError("the hash is damaged, or asks for more than 256 MB of memory")
    return PasswordHash(
        log2_cost=log2_cost, block=block, parallel=parallel, salt=salt, digest=digest
    )


def _scrypt(password: bytes, like: PasswordHash) -> bytes:
    return hashlib.scrypt(
        password,
        salt=like.salt,
        n=1 << like.log2_cost,
        r=like.block,
        p=like.parallel,
        maxmem=2 * _MAX_MEMORY,
        dklen=HASH_BYTES,
    )
