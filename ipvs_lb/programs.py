"""Programs of the operator, run beside the event loop: what checks and hooks share.

Rules kept here:
1. No shell. The program leads its own session and process group; when the run ends, for whatever reason, the group
   is killed, so that nothing piles up.
2. As root the program runs as the user it is meant for with that user's groups; otherwise as whoever we are, and not
   at all where it would inherit capabilities.
3. It sees a standard PATH and the environment it is given, nothing of ours.
4. `MAX_OUTPUT` bytes of what it prints are kept; printing more than `MAX_FLOOD` ends it.
"""

from __future__ import annotations

import asyncio
import enum
import errno
import json
import os
import pwd
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

MAX_OUTPUT = 4096
MAX_FLOOD = 1_048_576
_CHUNK = 65_536
_REAPING = 1.0
_SHORTAGES = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_SURROUNDINGS = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: with `environment` besides the standard one and `stdin` to read, `stderr` part of its output or not."""

    command: tuple[str, ...]
    user: str
    environment: Mapping[str, str]
    stdin: bytes = field(default=b"", repr=False)
    stderr: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, as `subprocess` counts it (below 0: by that signal), and the beginning of its output."""

    status: int
    output: bytes

    def __str__(self) -> str:
        if self.status >= 0:
            return f"exit status {self.status}"
        try:
            return f"killed by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"killed by signal {-self.status}"


class Fault(enum.Enum):
    """Why a program did not run to its end."""

    SHORTAGE = enum.auto()  # this machine is out of processes, memory or files
    UNFIT = enum.auto()  # it cannot be run as it is asked for
    FLOOD = enum.auto()  # it printed without end


class ProgramError(Exception):
    """A program did not run to its end; the message is one printable line."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


async def run(program: Program) -> Ended:
    """Run *program* to its end; cancelled, it is killed with all it started. Raises ProgramError."""
    with _running(program) as process:
        try:
            status = await process.finished
        finally:
            await process.end()
    return Ended(status, bytes(process.output))


def user_id(name: str) -> int | None:
    """The user's number; None when there is no such user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


class _Process:
    """A started program, its output, and its end, which is noticed and reaped by the event loop."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._pipe = output
        self._pidfd = os.pidfd_open(process.pid)
        self._received = 0
        self.output = bytearray()
        self.finished: asyncio.Future[int] = self._loop.create_future()
        self._reaped = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)
        self._loop.add_reader(self._pipe, self._collect)

    def _collect(self) -> None:
        """Keep the beginning of the output and throw away the rest, but not for ever."""
        try:
            piece = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return
        self.output += piece[: MAX_OUTPUT - len(self.output)]
        self._received += len(piece)
        if not piece or self._received > MAX_FLOOD:
            self._loop.remove_reader(self._pipe)
        if self._received > MAX_FLOOD and not self.finished.done():
            what = f"output of more than {MAX_FLOOD} bytes"
            self.finished.set_exception(ProgramError(Fault.FLOOD, what))

    def _reap(self) -> None:
        """The program is a zombie: its number is still ours, so its group can be killed safely."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.kill()
        self._collect_rest()
        status = self._process.wait()
        self._reaped.set_result(None)
        if not self.finished.done():
            self.finished.set_result(status)

    def _collect_rest(self) -> None:
        """What a pipe holds at once is all that a program that has ended can have left in it."""
        if self._pipe >= 0 and len(self.output) < MAX_OUTPUT:
            self._collect()

    def kill(self) -> None:
        """Kill the whole group, unless the program is reaped and its number no longer ours."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill what is left, and wait for it to be gone; a program the kernel will not end is left to the loop."""
        self.kill()
        await asyncio.wait({self._reaped}, timeout=_REAPING)

    def close(self) -> None:
        """Stop listening to the output."""
        self.kill()
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        self._pipe = -1


@contextmanager
def _running(program: Program) -> Iterator[_Process]:
    reading, writing = _pipe(program)
    os.set_blocking(reading, False)
    try:
        with _input(program) as stdin:
            started = _start(program, stdin, writing)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    process = _Process(started, reading)
    try:
        yield process
    finally:
        process.close()


def _pipe(program: Program) -> tuple[int, int]:
    try:
        return os.pipe2(os.O_CLOEXEC)
    except OSError as error:
        raise _not_started(program, error) from error


@contextmanager
def _input(program: Program) -> Iterator[int]:
    """A file in memory: whether, when and how much of it the program reads is nothing to wait for."""
    if not program.stdin:
        yield subprocess.DEVNULL
        return
    try:
        memory = os.memfd_create("stdin", os.MFD_CLOEXEC)
    except OSError as error:
        raise _not_started(program, error) from error
    with os.fdopen(memory, "wb+", buffering=0) as file:
        file.write(program.stdin)
        file.seek(0)
        yield memory


def _start(program: Program, stdin: int, output: int) -> subprocess.Popen[bytes]:
    user, group, groups = _identity(program.user)
    try:
        return subprocess.Popen(  # noqa: S603  # no shell; the command is the operator's
            program.command,
            stdin=stdin,
            stdout=output,
            stderr=output if program.stderr else subprocess.DEVNULL,
            cwd="/",
            env={**_SURROUNDINGS, **program.environment},
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=groups,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise _not_started(program, error) from error


def _not_started(program: Program, error: Exception) -> ProgramError:
    ours = isinstance(error, OSError) and error.errno in _SHORTAGES
    reason = error.strerror if isinstance(error, OSError) else str(error)
    what = f"cannot start {_quoted(program.command[0])}: {reason}"
    return ProgramError(Fault.SHORTAGE if ours else Fault.UNFIT, what)


def _identity(name: str) -> tuple[int | None, int | None, list[int] | None]:
    """Who the program runs as; not root, we can only run it as ourselves, and without anything to hand on."""
    if os.geteuid() != 0:
        if has_ambient_capabilities(Path("/proc/self/status").read_text()):
            what = f"cannot run as {_quoted(name)}: not root, and the program would inherit capabilities"
            raise ProgramError(Fault.UNFIT, what)
        return None, None, None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ProgramError(Fault.UNFIT, f"no such user: {_quoted(name)}") from None
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(name, entry.pw_gid)


def has_ambient_capabilities(status: str) -> bool:
    """Whether the process with this /proc/PID/status passes capabilities on to its programs (capabilities(7))."""
    found = re.search(r"^CapAmb:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and int(found[1], 16) != 0


def _quoted(name: str) -> str:
    return json.dumps(name[:100])
