"""The users of the compatible API: one line each, `NAME:HASH:ROLE` or `NAME:HASH:ROLE:PROJECT`.

Empty lines and lines that begin with # do not count. No message repeats a hash.
"""

from __future__ import annotations

import enum
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipvs_lb.errors import LBError
from ipvs_lb.model.cloud import identifier_of
from ipvs_lb.octavia import passwords
from ipvs_lb.octavia.passwords import PasswordHash

MAX_FILE = 1024 * 1024
LOOK_AGAIN = 1.0
"""Seconds after which a change of the file counts at the latest."""
_NAME = re.compile(r"[\w.@+-]{1,64}")
_PROJECT = re.compile(r"[\w.-]{1,36}")


class Role(enum.StrEnum):
    """What somebody may do: everything everywhere; everything in a project but quotas; look at a project."""

    ADMIN = "admin"
    MEMBER = "member"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may ask; `project_id` None is the one that the configuration names."""

    name: str
    password: PasswordHash
    role: Role
    project_id: str | None = None

    @property
    def id(self) -> str:
        """The same for the same name."""
        return identifier_of("user", self.name)


Users = Mapping[str, User]


def read_users(text: str, name: str) -> Users:
    """The users in *text*, by name. Raises LBError with every line of file *name* that is wrong."""
    users: dict[str, User] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            user = _user(line.strip())
        except ValueError as problem:
            problems.append(f"{name}:{number}: {problem}")
            continue
        if users.setdefault(user.name, user) is not user:
            problems.append(f"{name}:{number}: {user.name} is there already")
    if problems:
        raise LBError("; ".join(problems))
    return users


def _user(line: str) -> User:
    parts = line.split(":")
    if len(parts) not in {3, 4}:
        raise ValueError("expected NAME:HASH:ROLE or NAME:HASH:ROLE:PROJECT")
    name, password, role, *project = parts
    if not _NAME.fullmatch(name):
        raise ValueError("expected a name of letters, digits and _ . @ + -")
    if role not in set(Role):
        raise ValueError(f"expected role {', '.join(Role)}")
    if project and not _PROJECT.fullmatch(project[0]):
        raise ValueError("expected a project id of at most 36 letters, digits and _ . -")
    return User(
        name=name,
        password=passwords.parse(password),
        role=Role(role),
        project_id=project[0] if project else None,
    )


class UsersFile:
    """The users of a file, read again when it has changed; one that has become unreadable leaves those there were."""

    def __init__(self, path: Path, clock: Callable[[], float], warn: Callable[[str], None]) -> None:
        self._path = path
        self._clock = clock
        self._warn = warn
        self._mark: tuple[int, ...] = ()
        self._looked = clock()
        self._users: Users = {}
        self._read(self._marked())

    def users(self) -> Users:
        """Those of now, or of a second ago."""
        now = self._clock()
        if now - self._looked >= LOOK_AGAIN:
            self._looked = now
            self._look()
        return self._users

    def _look(self) -> None:
        try:
            mark = self._marked()
            if mark != self._mark:
                self._read(mark)
        except LBError as problem:
            self._warn(str(problem))

    def _marked(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError as problem:
            raise LBError(f"users: cannot read {self._path}: {problem.strerror}") from problem
        if not stat.S_ISREG(found.st_mode):
            raise LBError(f"users: {self._path} is not a regular file")
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def _read(self, mark: tuple[int, ...]) -> None:
        self._mark = mark  # also of a file that is wrong: it is told once
        try:
            with self._path.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IROTH:
                    raise LBError(
                        f"users: everybody can read {self._path}", hint=f"chmod o= {self._path}"
                    )
                content = file.read(MAX_FILE + 1)
            text = content.decode()
        except OSError as problem:
            raise LBError(f"users: cannot read {self._path}: {problem.strerror}") from problem
        except UnicodeDecodeError:
            raise LBError(f"users: {self._path} is not text") from None
        if len(content) > MAX_FILE:
            raise LBError(f"users: {self._path} has more than {MAX_FILE} bytes")
        self._users = read_users(text, str(self._path))
