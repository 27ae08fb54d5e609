"""Who asks: a name with its password, a token for them, the configured token, or anybody where that is allowed.

Rules kept here:
1. A password is checked by work that takes long, beside the event loop, few at a time; a right one is remembered for a
   minute under a keyed hash, so that a client that sends it with every request is known at once.
2. After some wrong ones, a name at an address has to wait, twice as long each time.
3. A name that does not exist takes as long as a wrong password.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from ipvs_lb.model.cloud import Identification, OctaviaSettings, identifier_of
from ipvs_lb.octavia import passwords
from ipvs_lb.octavia.faults import Fault
from ipvs_lb.octavia.tokens import Token, Tokens
from ipvs_lb.octavia.users import Role, User, Users

REMEMBERED = 60.0
"""Seconds for which a right password need not be checked again."""
MAX_REMEMBERED = 1000
PATIENCE = 5
"""Wrong passwords of one name at one address before there is a wait."""
LONGEST_WAIT = 60.0
MAX_WATCHED = 4096
MAX_WAITING = 32
"""Passwords that wait for being checked; further ones are turned away."""
_NOBODY = passwords.hashed(secrets.token_hex(16), secrets.token_bytes(passwords.SALT_BYTES))


class UnknownCallerError(Fault):
    """No word of who asks, or not a true one."""

    def __init__(self) -> None:
        super().__init__(401, "The request you have made requires authentication.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who is known, with what he may do in which project; `token` when he came with one of ours."""

    name: str
    role: Role
    project_id: str
    token: Token | None = None

    @property
    def id(self) -> str:
        """The user's identifier."""
        return identifier_of("user", self.name)

    def sees(self, project_id: str) -> bool:
        """Whether he may look at what belongs to a project."""
        return self.role is Role.ADMIN or self.project_id == project_id

    def changes(self, project_id: str) -> bool:
        """Whether he may change what belongs to a project."""
        return self.role is not Role.OBSERVER and self.sees(project_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What came with a request: the two headers, and the address it came from."""

    authorization: str = ""
    token: str = ""
    address: str = ""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0


class Door:
    """Knows who asks."""

    def __init__(
        self,
        settings: OctaviaSettings,
        users: Callable[[], Users],
        *,
        clock: Callable[[], float],
        threads: Executor | None = None,
        static_token: str | None = None,
    ) -> None:
        self.settings = settings
        self._users = users
        self._clock = clock
        self._threads = threads
        self.static_token = static_token
        self.tokens = Tokens(clock)
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, tuple[User, float]] = {}
        self._wrong: dict[tuple[str, str], _Failures] = {}
        self._checking = asyncio.Semaphore(2)
        self._waiting = 0

    async def caller(self, given: Credentials) -> Caller:
        """Who asks. Raises UnknownCallerError, or another Fault when he has to wait."""
        if self.settings.identification is Identification.NONE:
            return self._anybody()
        if given.token:
            return self.bearer(given.token)
        name, password = _basic(given.authorization)
        return await self.check(name, password, given.address)

    def bearer(self, secret: str) -> Caller:
        """Who comes with a token. Raises UnknownCallerError."""
        if self.static_token is not None and _same(secret, self.static_token):
            return Caller(name="admin_token", role=Role.ADMIN, project_id=self.settings.project_id)
        token = self.tokens.find(secret)
        if token is None:
            raise UnknownCallerError
        if self.settings.identification is Identification.NONE:
            return self._anybody(token.user, token)
        user = self._users().get(token.user)
        if user is None:
            raise UnknownCallerError
        return self._caller(user, token)

    async def check(self, name: str, password: str, address: str) -> Caller:
        """Who has that name and password. Raises UnknownCallerError, or another Fault when he has to wait."""
        if self.settings.identification is Identification.NONE:
            return self._anybody(name)
        user = self._user(name)
        mark = self._mark(name, password)
        if user is not None and self._remembers(mark, user):
            return self._caller(user)
        self._refuse_hasty((name, address))
        is_right = await self._is_right(user, password)
        if user is None or not is_right:
            self._note_wrong((name, address))
            raise UnknownCallerError
        self._wrong.pop((name, address), None)
        self._remember(mark, user)
        return self._caller(user)

    def issue(self, caller: Caller) -> tuple[str, Token]:
        """A token for somebody who is known."""
        return self.tokens.issue(caller.name, self.settings.token_lifetime)

    def _anybody(self, name: str = "anybody", token: Token | None = None) -> Caller:
        return Caller(name=name, role=Role.ADMIN, project_id=self.settings.project_id, token=token)

    def _caller(self, user: User, token: Token | None = None) -> Caller:
        project = user.project_id or self.settings.project_id
        return Caller(name=user.name, role=user.role, project_id=project, token=token)

    def _user(self, name: str) -> User | None:
        users = self._users()
        if name in users:
            return users[name]
        return next((user for user in users.values() if user.id == name), None)

    # passwords

    async def _is_right(self, user: User | None, password: str) -> bool:
        if self._waiting >= MAX_WAITING:
            raise _wait(1.0)
        known = _NOBODY if user is None else user.password
        self._waiting += 1
        try:
            async with self._checking:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, known.matches, password)
        finally:
            self._waiting -= 1

    def _mark(self, name: str, password: str) -> bytes:
        both = f"{len(name)}:{name}:{password}".encode(errors="replace")
        return hmac.digest(self._key, both, "sha256")

    def _remembers(self, mark: bytes, user: User) -> bool:
        known, until = self._right.get(mark, (None, 0.0))
        return known == user and until > self._clock()

    def _remember(self, mark: bytes, user: User) -> None:
        if len(self._right) >= MAX_REMEMBERED:
            self._right.clear()
        self._right[mark] = user, self._clock() + REMEMBERED

    def _refuse_hasty(self, who: tuple[str, str]) -> None:
        failures = self._wrong.get(who)
        wait = 0.0 if failures is None else failures.until - self._clock()
        if wait > 0:
            raise _wait(wait)

    def _note_wrong(self, who: tuple[str, str]) -> None:
        failures = self._wrong.pop(who, None) or _Failures()
        while len(self._wrong) >= MAX_WATCHED:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[who] = failures
        failures.count += 1
        if failures.count >= PATIENCE:
            wait = min(2.0 ** (failures.count - PATIENCE), LONGEST_WAIT)
            failures.until = self._clock() + wait


def _wait(seconds: float) -> Fault:
    fault = Fault(429, "Too many wrong passwords: wait a while.")
    fault.retry_after = max(1, round(seconds))
    return fault


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise UnknownCallerError
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise UnknownCallerError from None
    name, colon, password = text.partition(":")
    if not colon:
        raise UnknownCallerError
    return name, password


def _same(one: str, other: str) -> bool:
    """Takes as long whatever they have in common."""
    return hmac.compare_digest(
        *(hashlib.sha256(text.encode(errors="replace")).digest() for text in (one, other))
    )
