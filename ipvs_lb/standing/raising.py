"""Brings a lab up: starts the process that holds it, and waits until the lab is there or is not to be."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

from ipvs_lb.errors import LabError
from ipvs_lb.lab.guest import Kind, choose
from ipvs_lb.lab.packages import need
from ipvs_lb.scenario.layout import layout
from ipvs_lb.scenario.reading import Script
from ipvs_lb.standing import names
from ipvs_lb.standing.settings import Settings, error_of, news_of

_ENDING = 30.0
_FOLDER = "/run/ipvs-lb-lab"
# The first process of a process namespace has to reap what others leave. Files and names of namespaces are on file
# systems of the mount namespace, and go with it.
_PRIVATE = (
    f"mkdir -p /run/netns {_FOLDER} && mount -t tmpfs lab /run/netns && mount -t tmpfs lab {_FOLDER}"
    f' && export TMPDIR={_FOLDER} || exit; "$@"; exit'
)
_UNSHARE = ("--pid", "--mount", "--fork", "--kill-child=KILL", "--mount-proc")


def raise_lab(settings: Settings) -> None:
    """Bring a lab up that stays. Raises ConfigError when its configuration is refused, LabError when it cannot be."""
    with _raised(_complete(settings)):
        return


@contextmanager
def raised(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A lab that is up while the block lasts, and ends with us however we end. Raises as raise_lab."""
    with _raised(replace(_complete(settings), is_leashed=True)) as holder:
        try:
            yield holder
        finally:
            assert holder.stdin is not None  # noqa: S101 - a leash is a pipe
            holder.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                holder.wait(_ENDING)
            _kill(holder)


def _complete(settings: Settings) -> Settings:
    """With the kernel to take, once everything that can be refused has been."""
    if settings.name in names.names():
        raise names.already_up(settings.name)
    script = Script(settings.config_path, settings.other_paths, settings.timing)
    plan = layout(list(script.scenario.configs.values()))
    kernel = choose(plan.needs, os.environ.get("IPVS_LB_GUEST"))
    return replace(settings, kernel=kernel.value)


@contextmanager
def _raised(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """The holder of a lab that is up; it stays, unless an error comes from here."""
    holder = subprocess.Popen(  # noqa: S603 - our own program
        [*_command(settings), settings.to_json()],
        stdin=subprocess.PIPE if settings.is_leashed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None  # noqa: S101 - it is a pipe
        with holder.stdout as said:
            _await(said)
    except BaseException:
        _kill(holder)
        raise
    yield holder
    holder.returncode = holder.poll() or 0  # it stays, and is nobody's to wait for


def _command(settings: Settings) -> list[str]:
    program = "holder" if settings.kernel == Kind.HOST else "relay"
    module = [sys.executable, "-m", f"ipvs_lb.standing.{program}"]
    if settings.kernel != Kind.HOST:
        return module
    unshare = need("unshare", "util-linux")
    return [unshare, *_UNSHARE, "/bin/bash", "-c", _PRIVATE, "lab", *module]


def _await(said: IO[str]) -> None:
    """Return when the lab is up; what is said for people until then is passed on."""
    for line in said:
        news = news_of(line)
        if news is None:
            sys.stderr.write(line)
            sys.stderr.flush()
            continue
        if news.get("error"):
            raise error_of(news["error"])
        return
    raise LabError("the process that was to hold the lab has ended before the lab was up")


def _kill(holder: subprocess.Popen[str]) -> None:
    """End it with all that is in its process group; a guest or a process namespace goes with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()
