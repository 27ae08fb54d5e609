"""The exec method: a program decides.

Rules kept here:
1. No shell. The program leads its own session and process group; when the probe ends, for whatever reason, the group
   is killed, so that nothing piles up.
2. As root the program runs as the check's user with that user's groups; otherwise as whoever we are.
3. It sees a clean environment: a standard PATH, and IPVS_LB_ADDRESS, IPVS_LB_PORT, IPVS_LB_FAMILY, IPVS_LB_TIMEOUT.
4. `MAX_OUTPUT` bytes of what it prints are kept; printing more than `MAX_FLOOD` ends it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ipvs_lb.model.checks import ExecCheck
from ipvs_lb.model.identity import family_of
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.weights import parse_weight
from ipvs_lb.probes.wire import Finding, Wire

MAX_OUTPUT = 4096
MAX_FLOOD = 1_048_576
_CHUNK = 65_536
_REAPING = 1.0
_SHORTAGES = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def probe_exec(check: ExecCheck, wire: Wire) -> Finding:
    """Pass when the program exits with 0 and, if asked for, has printed a weight."""
    wire.watch.doing = "running the program"
    with _running(check, wire) as program:
        try:
            status = await program.finished
        finally:
            await program.end()
    output = bytes(program.output)
    if status:
        raise ProbeFailure(ErrorClass.EXEC, f"{_describe(status)} {_first_line(output)}".rstrip())
    if not check.weight:
        return Finding(detail=_first_line(output))
    weight = parse_weight(output)
    return Finding(weight=weight, detail=f"weight {weight}")


class _Program:
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
            self.finished.set_exception(
                ProbeFailure(ErrorClass.TOO_LARGE, f"output of more than {MAX_FLOOD} bytes")
            )

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
def _running(check: ExecCheck, wire: Wire) -> Iterator[_Program]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reading, False)
    try:
        process = _start(check, wire, writing)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    program = _Program(process, reading)
    try:
        yield program
    finally:
        program.close()


def _start(check: ExecCheck, wire: Wire, output: int) -> subprocess.Popen[bytes]:
    user, group, groups = _identity(check.user)
    try:
        return subprocess.Popen(  # noqa: S603  # no shell; the command is the operator's
            check.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL if check.weight else output,
            cwd="/",
            env=environment(wire),
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=groups,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise _not_started(check.command[0], error) from error


def _not_started(name: str, error: Exception) -> ProbeFailure:
    """Nothing was learnt about the server: the fault is this machine's or the config's."""
    ours = isinstance(error, OSError) and error.errno in _SHORTAGES
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return ProbeFailure(
        ErrorClass.LOCAL if ours else ErrorClass.CHECK,
        f"cannot start {quoted(name, 100)}: {reason}",
    )


def _identity(name: str) -> tuple[int | None, int | None, list[int] | None]:
    """Who the program runs as; not root, we can only run it as ourselves, and without anything to hand on."""
    if os.geteuid() != 0:
        if has_ambient_capabilities(Path("/proc/self/status").read_text()):
            what = f"cannot run as {quoted(name)}: not root, and the program would inherit capabilities"
            raise ProbeFailure(ErrorClass.CHECK, what)
        return None, None, None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ProbeFailure(ErrorClass.CHECK, f"no such user: {quoted(name)}") from None
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(name, entry.pw_gid)


def has_ambient_capabilities(status: str) -> bool:
    """Whether the process with this /proc/PID/status passes capabilities on to its programs (capabilities(7))."""
    found = re.search(r"^CapAmb:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and int(found[1], 16) != 0


def environment(wire: Wire) -> dict[str, str]:
    """All that the program finds in its environment."""
    return {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "IPVS_LB_ADDRESS": str(wire.target.address),
        "IPVS_LB_PORT": str(wire.target.port),
        "IPVS_LB_FAMILY": str(family_of(wire.target.address)),
        "IPVS_LB_TIMEOUT": f"{wire.timeout:g}",
    }


def _describe(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _first_line(output: bytes) -> str:
    line = output.strip().partition(b"\n")[0]
    return quoted(line, 100) if line else ""
