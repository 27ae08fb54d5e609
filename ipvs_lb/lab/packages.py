"""Debian packages that a lab needs: installed when they are missing, quietly, and never started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ipvs_lb.errors import LabError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLICY = Path("/usr/sbin/policy-rc.d")


def say(text: str) -> None:
    """A line of progress for the person waiting, beside the output of the command."""
    print(f"lab: {text}", file=sys.stderr, flush=True)  # noqa: T201 - progress of a program


def find_program(name: str) -> str | None:
    """Where a program is, also where only root's PATH looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def need(program: str, package: str) -> str:
    """The path of *program*, installing *package* when it is not there.

    Raises LabError when it cannot be installed.
    """
    found = find_program(program)
    if found is None:
        install([package])
        found = find_program(program)
    if found is None:
        raise LabError(f"package {package} does not bring the program {program}")
    return found


def install(packages: Sequence[str]) -> None:
    """Install *packages* with apt; services they bring are not started.

    Raises LabError with what apt said last.
    """
    names = " ".join(packages)
    by_hand = f"sudo apt-get install {names}"
    if find_program("apt-get") is None:
        raise LabError(f"{names}: not installed, and there is no apt-get here")
    if os.geteuid() != 0:
        raise LabError(f"{names}: not installed, and only root can", hint=by_hand)
    say(f"installing {names}")
    with _no_service_starts():
        arguments = ["install", "--yes", "--no-install-recommends", *packages]
        if _apt(arguments).returncode != 0:
            _apt(["update"])
            last = _apt(arguments)
            if last.returncode != 0:
                raise LabError(f"apt-get could not install {names}: {_end(last)}", hint=by_hand)


def download(package: str, folder: Path) -> Path:
    """The .deb of *package*, fetched into *folder*. Raises LabError with what apt said last."""
    result = _apt(["download", package], folder)
    if result.returncode != 0:
        _apt(["update"])
        result = _apt(["download", package], folder)
    files = sorted(folder.glob(f"{package}_*.deb"))
    if result.returncode != 0 or not files:
        raise LabError(f"apt-get could not download {package}: {_end(result)}")
    return files[-1]


def _apt(arguments: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed program, package names are ours
        ["/usr/bin/apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def _end(result: subprocess.CompletedProcess[str]) -> str:
    lines = (result.stderr or result.stdout).strip().splitlines()
    return "; ".join(lines[-3:])


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """While this lasts, packages being installed do not start their services."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
