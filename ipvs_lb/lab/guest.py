"""A command, as root, in a kernel that has IPVS: this one, or a guest that sees this machine's files.

Rules kept here:
1. The command runs in the caller's folder with the caller's PATH and virtual environment; its output streams
   through and its exit status is ours.
2. Only what was started here is killed, by its process group, and nothing of it outlives the call.
3. A guest that dies, hangs or never ran the command is an error of its own, with its last console lines.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from ipvs_lb.errors import LabError
from ipvs_lb.lab import host, qemu, uml
from ipvs_lb.lab.boot import Boot, Job, parse_memory
from ipvs_lb.lab.packages import SYSTEM_PATH

DEFAULT_TIMEOUT = 900.0
DEFAULT_MEMORY = "1G"
_GUEST_INIT = Path(__file__).with_name("guest_init.sh")
_CONSOLE_LINES = 15
# Standard input is a pipe that only we hold: when we are gone, however, so is the whole process group.
_LEASH = (
    'exec 3<&0 </dev/null; { read -r _ <&3; rm -rf "$IPVS_LB_LEASH_REMOVES"; kill -KILL 0; } >/dev/null 2>&1 &'
    ' exec 3<&-; exec "$@"'
)
_KEPT_VARIABLES = re.compile(
    r"(PATH|VIRTUAL_ENV|HOME|USER|LOGNAME|LANG|LC_\w+|TZ|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|COLUMNS|LINES|CI"
    r"|(PYTHON|PYTEST|COVERAGE|HYPOTHESIS|IPVS_LB)_?\w*)"
)


class Kind(enum.StrEnum):
    """Where a command can meet an IPVS."""

    HOST = "host"
    UML = "uml"
    QEMU = "qemu"


class GuestError(LabError):
    """A guest died, or never ran its command."""

    exit_code = 125


class TimeLimitError(GuestError):
    """A command, or the guest around it, was still running at its time limit."""

    exit_code = 124


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind of kernel, what it can do beside IPVS, and whether it can be had here."""

    kind: Kind
    features: frozenset[str]
    is_available: Callable[[], bool]


CANDIDATES = (
    Candidate(Kind.HOST, frozenset({"nftables"}), host.has_ipvs),
    Candidate(Kind.UML, uml.FEATURES, uml.is_available),
    Candidate(Kind.QEMU, qemu.FEATURES, qemu.is_available),
)


def choose(
    needs: frozenset[str],
    forced: str | None,
    candidates: Sequence[Candidate] = CANDIDATES,
) -> Kind:
    """The first candidate that is available and has all of *needs*; *forced* names one to take as it is.

    Raises LabError when there is none, or *forced* is no kind of kernel.
    """
    if forced:
        if forced not in list(Kind):
            raise LabError(f"guest {forced!r} is none of {', '.join(Kind)}")
        return Kind(forced)
    for candidate in candidates:
        if needs <= candidate.features and candidate.is_available():
            return candidate.kind
    with_needs = f" with {', '.join(sorted(needs))}" if needs else ""
    raise LabError(
        f"no kernel with IPVS{with_needs} can be had here",
        hint="run as root with ip_vs loaded, or install user-mode-linux or qemu-system-x86",
    )


def run(
    command: Sequence[str],
    *,
    needs: frozenset[str] = frozenset(),
    timeout: float = DEFAULT_TIMEOUT,
    memory: str = DEFAULT_MEMORY,
    kind: Kind | None = None,
) -> int:
    """The exit status of *command* run as root in a kernel with IPVS; *timeout* is in seconds.

    Raises LabError when no such kernel can be had, GuestError when it died or never ran the command,
    TimeLimitError when the time is over.
    """
    if not command:
        raise LabError("no command to run in the guest")
    parse_memory(memory)
    chosen = kind or choose(needs, os.environ.get("IPVS_LB_GUEST"))
    match chosen:
        case Kind.HOST:
            host.prepare()
            return _run_here(command, timeout)
        case Kind.UML:
            return _run_in_guest(uml.boot, command, timeout, memory)
        case Kind.QEMU:
            return _run_in_guest(qemu.boot, command, timeout, memory)
        case _:
            assert_never(chosen)


def _run_here(command: Sequence[str], timeout: float) -> int:
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    program = _start(command, {**os.environ, "PATH": path})
    with _ended(program):
        try:
            status = program.wait(timeout)
        except subprocess.TimeoutExpired:
            raise _too_long(command, timeout) from None
    return status if status >= 0 else 128 - status


def _run_in_guest(
    plan_boot: Callable[[Job], Boot], command: Sequence[str], timeout: float, memory: str
) -> int:
    folder = Path(tempfile.mkdtemp(prefix="ipvs-lb-guest-", dir=visible_folder()))
    try:
        status = _boot_and_watch(plan_boot, folder, command, timeout, memory)
    except GuestError:
        _remove_all_but_console(folder)
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return status


def visible_folder() -> str:
    """A folder for temporary files that is the same folder inside a guest (see guest_init.sh)."""
    usual = tempfile.gettempdir()
    is_covered = Path(usual).resolve().parts[1:2] in {("dev",), ("etc",), ("run",), ("var",)}
    return "/tmp" if is_covered else usual  # noqa: S108 - mkdtemp makes a private folder in it


def _boot_and_watch(
    plan_boot: Callable[[Job], Boot],
    folder: Path,
    command: Sequence[str],
    timeout: float,
    memory: str,
) -> int:
    _write_job(folder, command)
    with contextlib.ExitStack() as stack:
        out_end, out = _pipe(stack)
        err_end, err = _pipe(stack)
        boot = plan_boot(Job(folder=folder, memory=memory, out=out, err=err))
        console = stack.enter_context((folder / "console.log").open("wb"))
        guest = _start(
            boot.arguments, {**os.environ, **boot.environment}, console.fileno(), (out, err)
        )
        stack.enter_context(_ended(guest))
        os.close(out)
        os.close(err)
        streams = {out_end: sys.stdout.fileno(), err_end: sys.stderr.fileno()}
        in_time = _pump(streams, guest, time.monotonic() + timeout)
    if not in_time:
        raise _too_long(command, timeout, folder)
    return _status(folder, guest.returncode)


class Standing:
    """A guest that runs until it is ended."""

    def __init__(self, folder: Path, program: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._program = program

    def is_running(self) -> bool:
        """Whether it does."""
        return self._program.poll() is None

    def error(self) -> GuestError:
        """What is to be said when it has ended by itself."""
        said = (self._folder / "said.log").read_text(errors="replace").strip()
        what = f"; it said: {said}" if said else _console(self._folder)
        return GuestError(f"the guest kernel has ended{what}")


@contextlib.contextmanager
def standing(
    command: Callable[[str], Sequence[str]], *, kind: Kind, memory: str, control: int
) -> Iterator[Standing]:
    """A guest that runs the command, given the serial line that the socket *control* is there, until the block ends.

    It ends with us, however we end, and leaves nothing behind.
    """
    boot, line = {Kind.UML: (uml.boot, uml.CONTROL), Kind.QEMU: (qemu.boot, qemu.CONTROL)}[kind]
    parse_memory(memory)
    folder = Path(tempfile.mkdtemp(prefix="ipvs-lb-guest-", dir=visible_folder()))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _write_job(folder, command(line))
        said = stack.enter_context((folder / "said.log").open("ab")).fileno()
        console = stack.enter_context((folder / "console.log").open("wb"))
        how = boot(Job(folder=folder, memory=memory, out=said, err=said, control=control))
        environment = {**os.environ, **how.environment}
        descriptors = (said, control)
        guest = _start(
            how.arguments, environment, console.fileno(), descriptors, remove=str(folder)
        )
        stack.enter_context(_ended(guest))
        yield Standing(folder, guest)


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe's reading and writing end; the reading one is closed with *stack*."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    return reading, writing


def _write_job(folder: Path, command: Sequence[str]) -> None:
    """All the guest's first process reads: see guest_init.sh."""
    cwd = Path.cwd()
    variables = {
        **{name: text for name, text in os.environ.items() if _KEPT_VARIABLES.fullmatch(name)},
        "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}",
        "TMPDIR": "/run/tmp",
        "IPVS_LB_IN_GUEST": "1",
    }
    lines = [f"export {name}={shlex.quote(text)}" for name, text in variables.items()]
    lines += [f"cd {shlex.quote(str(cwd))} || exit 125", f"exec {shlex.join(command)}"]
    (folder / "command").write_text("\n".join(lines) + "\n")
    (folder / "cwd").write_text(str(cwd))
    shutil.copy(_GUEST_INIT, folder / "init")
    if sys.stdout.isatty() and sys.stderr.isatty():
        size = shutil.get_terminal_size()
        (folder / "terminal").write_text(f"cols {size.columns} rows {size.lines}")


def _start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    console: int | None = None,
    pass_fds: Sequence[int] = (),
    remove: str = "",
) -> subprocess.Popen[bytes]:
    """The program, in a process group that ends when we are gone; then *remove* is removed as well."""
    return subprocess.Popen(  # noqa: S603 - running the caller's command is what this is for
        ("/bin/bash", "-c", _LEASH, "leash", *arguments),
        env={**environment, "IPVS_LB_LEASH_REMOVES": remove},
        stdin=subprocess.PIPE,
        stdout=console,
        stderr=None if console is None else subprocess.STDOUT,
        pass_fds=pass_fds,
        start_new_session=True,
    )


@contextlib.contextmanager
def _ended(program: subprocess.Popen[bytes]) -> Iterator[None]:
    """When this is left, no process of the program's own group is there."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.communicate()


def _pump(streams: Mapping[int, int], guest: subprocess.Popen[bytes], deadline: float) -> bool:
    """Copy each stream until all have ended or the guest has; whether that was before *deadline*."""
    with selectors.DefaultSelector() as selector:
        for source in streams:
            selector.register(source, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(0.2)
            for key, _ in ready:
                if not _copy(key.fd, streams[key.fd]):
                    selector.unregister(key.fd)
            if not ready and guest.poll() is not None:
                return True
            if time.monotonic() > deadline:
                return False
    return _waited(guest, deadline)


def _copy(source: int, target: int) -> bool:
    """Pass on what *source* holds; False at its end."""
    chunk = os.read(source, 1 << 16)
    view = memoryview(chunk)
    while view:
        view = view[os.write(target, view) :]
    return bool(chunk)


def _waited(guest: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        guest.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _status(folder: Path, guest_status: int | None) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "status").read_text())
    where = "while running the command" if (folder / "started").exists() else "before it ran it"
    raise GuestError(
        f"the guest kernel died (status {guest_status}) {where}{_console(folder)}",
        hint=f"its console: {folder}/console.log",
    )


def _too_long(command: Sequence[str], timeout: float, folder: Path | None = None) -> TimeLimitError:
    text = f"{shlex.join(command)}: still running after {timeout:g} s"
    if folder is None:
        return TimeLimitError(text)
    if not (folder / "started").exists():
        text = f"the guest kernel did not start the command within {timeout:g} s"
    return TimeLimitError(text + _console(folder), hint=f"its console: {folder}/console.log")


def _console(folder: Path) -> str:
    """The last lines a guest's kernel wrote, for the end of a message."""
    lines = (folder / "console.log").read_text(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return "\n  console: ".join(["", *said[-_CONSOLE_LINES:]]) or "; its console is empty"


def _remove_all_but_console(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == "console.log":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
