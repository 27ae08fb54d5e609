"""Programs as hooks: real ones."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ipvs_lb.hooks.calls import Outcome
from ipvs_lb.hooks.dispatcher import MAX_WAITING, send
from ipvs_lb.model.hooks import Exec
from tests.hooks.receivers import until
from tests.hooks.world import call, event

pytestmark = pytest.mark.real_time

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A file that any user can write."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    path = tmp_path / "out"
    path.touch()
    path.chmod(0o666)
    return path


def shell(script: str, *arguments: object, **settings) -> Exec:
    return Exec(command=("/bin/sh", "-c", script, "sh", *map(str, arguments)), **settings)


def runs(word: str) -> bool:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in entry.read_bytes():
                return True
        except OSError:
            continue
    return False


async def test_a_program_reads_the_call_from_its_standard_input(out):
    told = call(4, 5, dropped=1)
    assert await send(shell('cat > "$1"', out), told) == Outcome()
    assert json.loads(out.read_text()) == json.loads(told.body())


async def test_its_environment_has_the_essentials_and_nothing_of_ours(out, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    assert (await send(shell('env > "$1"', out), call(4, 5))).delivered
    found = dict(line.split("=", 1) for line in out.read_text().splitlines())
    ours = {name: value for name, value in found.items() if name.startswith("IPVS_LB_")}
    assert ours == {
        "IPVS_LB_HOOK": "pager",
        "IPVS_LB_GATEWAY": "gw",
        "IPVS_LB_DELIVERY": "d-1",
        "IPVS_LB_SERVICE": "tcp/10.0.0.16:80",
        "IPVS_LB_SERVICE_NAME": "web",
        "IPVS_LB_EVENTS": "server.down server.down",
        "IPVS_LB_DROPPED": "0",
    }
    assert found.keys() - ours.keys() <= {"PATH", "LANG", "PWD", "SHLVL", "_"}


async def test_what_is_about_no_service_has_empty_names(out):
    told = call(service=None, service_name=None)
    script = 'echo "<$IPVS_LB_SERVICE$IPVS_LB_SERVICE_NAME>" > "$1"'
    await send(shell(script, out), told)
    assert out.read_text() == "<>\n"


async def test_a_program_need_not_read_what_it_is_told():
    large = call(*range(MAX_WAITING))
    assert len(large.body()) > 8000
    assert (await send(Exec(command=("/bin/true",)), large)).delivered


async def test_the_call_is_not_limited_to_what_a_pipe_holds(out):
    bulky = [replace(event(n), facts={"detail": "x" * 3000}) for n in range(MAX_WAITING)]
    told = replace(call(), events=tuple(bulky))
    assert len(told.body()) > 300_000
    assert (await send(shell('sleep 0.1; wc -c > "$1"', out), told)).delivered
    assert int(out.read_text()) == len(told.body())


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (shell("exit 3"), "exit status 3"),
        (shell("echo no disk >&2; exit 1"), 'exit status 1 "no disk"'),
        (shell("kill -SEGV $$"), "killed by SIGSEGV"),
        (shell(r"printf '\033[31m\377\n'; exit 1"), r'exit status 1 "\u001b[31m\ufffd"'),
        (shell("yes"), "output of more than 1048576 bytes"),
        (
            Exec(command=("/nowhere/tell",)),
            'cannot start "/nowhere/tell": No such file or directory',
        ),
    ],
    ids=["status", "words", "signal", "garbage", "flood", "missing"],
)
async def test_a_program_that_fails_is_told_and_not_tried_again(program, reason):
    assert await send(program, call()) == Outcome(reason=reason)


async def test_a_program_that_hangs_is_killed_with_all_it_started():
    word = f"51{time.monotonic_ns()}"
    script = f"trap '' TERM INT HUP; sleep {word} & sleep {word}; true"
    assert await send(shell(script, timeout=0.3), call()) == Outcome(reason="killed after 0.3 s")
    until(lambda: not runs(word), "all of it is gone")


async def test_a_call_that_is_cancelled_kills_its_program():
    word = f"52{time.monotonic_ns()}"
    task = asyncio.create_task(send(shell(f"sleep {word}; true"), call()))
    await asyncio.sleep(0.2)
    assert runs(word)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    until(lambda: not runs(word), "all of it is gone")


@as_root
async def test_root_runs_it_as_an_unprivileged_user_without_capabilities(out):
    script = '{ id -un; id -G; grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status; } > "$1"'
    assert (await send(shell(script, out), call())).delivered
    name, groups, *capabilities = out.read_text().splitlines()
    assert (name, groups) == ("nobody", "65534")
    assert [line.split()[1] for line in capabilities] == ["0" * 16] * 4


async def test_it_never_runs_as_root():
    outcome = await send(Exec(command=("/bin/true",), user="root"), call())
    assert outcome == Outcome(reason="user root is root, and a hook's program does not run as root")


@as_root
async def test_a_user_that_does_not_exist_is_told():
    outcome = await send(Exec(command=("/bin/true",), user="no-such-user"), call())
    assert outcome == Outcome(reason='no such user: "no-such-user"')
