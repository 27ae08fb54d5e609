"""The exec and file methods."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from pathlib import Path

import pytest

from ipvs_lb.model.checks import ExecCheck, FileCheck, TcpCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.programs import has_ambient_capabilities
from tests.probes.servers import run

pytestmark = pytest.mark.real_time

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def shell(script: str, *, weight: bool = False) -> ExecCheck:
    return ExecCheck(command=("/bin/sh", "-c", script), weight=weight)


def processes_with(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def zombies() -> list[str]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    states = [
        Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in children
    ]
    return [state for state in states if state == "Z"]


@pytest.mark.parametrize(
    ("script", "error", "detail"),
    [
        ("exit 0", None, ""),
        ("echo fine; echo more", None, '"fine"'),
        ("exit 3", ErrorClass.EXEC, "exit status 3"),
        ("echo no disk >&2; exit 1", ErrorClass.EXEC, 'exit status 1 "no disk"'),
        (r"printf '\033[31m\0\377\nx'; exit 1", ErrorClass.EXEC, r'exit status 1 "[31m \xff"'),
        ("kill -SEGV $$", ErrorClass.EXEC, "killed by SIGSEGV"),
    ],
)
async def test_the_exit_status_decides(script, error, detail):
    result = await run(shell(script), 80)
    assert (result.error, result.detail) == (error, detail)


@pytest.mark.parametrize(
    ("output", "weight"), [("10", 10), (" 7 ", 7), ("0", 0), ("-5", 0), ("99999999", 65535)]
)
async def test_a_weight_is_absolute_and_clamped(output, weight):
    """keepalived #2720"""
    result = await run(shell(f"echo chatter >&2; echo '{output}'", weight=True), 80)
    assert result.passed
    assert result.weight == weight


@pytest.mark.parametrize("output", ["", "ten", "1 2", "0x10", "1" * 30])
async def test_no_weight_where_one_is_needed_is_a_failure(output):
    result = await run(shell(f"echo '{output}'", weight=True), 80)
    assert result.error is ErrorClass.WEIGHT


async def test_the_environment_is_clean_and_names_the_target(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    script = 'echo "$IPVS_LB_ADDRESS $IPVS_LB_PORT $IPVS_LB_FAMILY $IPVS_LB_TIMEOUT $SECRET."'
    result = await run(shell(script), 8080)
    assert result.detail == '"127.0.0.1 8080 ipv4 2 ."'


async def test_there_is_no_shell_between():
    result = await run(ExecCheck(command=("/bin/echo", "$HOME;", "exit 1")), 80)
    assert result.detail == '"$HOME; exit 1"'


async def test_a_program_that_is_not_there_cannot_be_started():
    result = await run(ExecCheck(command=("/nowhere/check",)), 80)
    assert result.error is ErrorClass.CHECK
    assert result.detail == 'cannot start "/nowhere/check": No such file or directory'


@pytest.mark.parametrize("method", [shell("exit 0"), TcpCheck()])
async def test_a_process_out_of_file_descriptors_blames_no_server(method):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        result = await run(method, 80)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.error is ErrorClass.LOCAL
    assert "Too many open files" in result.detail


@as_root
async def test_root_runs_it_as_the_check_s_user():
    result = await run(shell("id -un; id -Gn >&2"), 80)
    assert result.detail == '"nobody"'
    result = await run(shell("id -G"), 80)
    assert result.detail == '"65534"'


@as_root
async def test_a_user_that_does_not_exist_is_the_check_s_mistake():
    result = await run(ExecCheck(command=("/bin/true",), user="no-such-user"), 80)
    assert result.error is ErrorClass.CHECK


async def test_a_timeout_kills_the_grandchildren_too():
    """keepalived #429 #2289 #946 #1364 #1492"""
    word = f"41{time.monotonic_ns()}"
    result = await run(shell(f"sleep {word} & sleep {word} & wait"), 80, timeout=0.3)
    assert result.error is ErrorClass.TIMEOUT
    assert result.detail == "no result after 0.3 s, while running the program"
    assert result.timings.total < 1
    await asyncio.sleep(0.05)
    assert processes_with(word) == []
    assert zombies() == []


async def test_a_program_that_ignores_signals_is_killed_all_the_same():
    result = await run(shell("trap '' TERM INT HUP; while :; do :; done"), 80, timeout=0.2)
    assert result.error is ErrorClass.TIMEOUT
    assert zombies() == []


async def test_a_program_that_leaves_a_child_behind_is_tidied_up_after():
    word = f"42{time.monotonic_ns()}"
    result = await run(shell(f"sleep {word} & echo started"), 80)
    assert result.passed
    assert result.detail == '"started"'
    assert result.timings.total < 1
    await asyncio.sleep(0.05)
    assert processes_with(word) == []


async def test_cancelling_kills_the_program():
    word = f"43{time.monotonic_ns()}"
    task = asyncio.create_task(run(shell(f"sleep {word}; true"), 80, timeout=20))
    await asyncio.sleep(0.2)
    assert processes_with(word)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert processes_with(word) == []
    assert zombies() == []


async def test_output_beyond_the_cap_is_dropped():
    result = await run(shell("head -c 200000 /dev/zero | tr '\\0' x"), 80)
    assert result.passed
    assert len(result.detail) <= 200


async def test_output_without_end_ends_the_program():
    result = await run(shell("yes"), 80, timeout=5)
    assert result.error is ErrorClass.TOO_LARGE
    assert result.timings.total < 3
    assert zombies() == []


async def test_programs_leave_no_file_descriptor_open():
    await run(shell("exit 0"), 80)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names are enough
    await asyncio.gather(*(run(shell(f"exit {n % 3}"), 80) for n in range(8)))
    await asyncio.gather(*(run(shell("sleep 5"), 80, timeout=0.1) for _ in range(4)))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  # names are enough


@pytest.mark.parametrize(
    ("content", "weight", "expected", "error"),
    [
        ("", False, None, None),
        ("12\n", True, 12, None),
        ("-3", True, 0, None),
        ("70000", True, 65535, None),
        ("many", True, None, ErrorClass.WEIGHT),
        ("1" * 100, True, None, ErrorClass.TOO_LARGE),
    ],
)
async def test_a_file_is_there_and_may_hold_a_weight(tmp_path, content, weight, expected, error):
    path = tmp_path / "up"
    path.write_text(content)
    result = await run(FileCheck(path=str(path), weight=weight), 0)
    assert (result.error, result.weight) == (error, expected)


async def test_a_missing_file_fails():
    result = await run(FileCheck(path="/nowhere/up"), 0)
    assert result.error is ErrorClass.FILE
    assert result.detail == '"/nowhere/up": No such file or directory'


@pytest.mark.parametrize("weight", [False, True])
async def test_only_a_regular_file_counts(tmp_path, weight):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path, fifo, "/dev/zero"):
        result = await run(FileCheck(path=str(path), weight=weight), 0)
        assert result.error is ErrorClass.FILE
        assert result.detail.endswith("not a regular file")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000003400\n", True),
        ("CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n", False),
        ("Name:\tsh\n", False),
    ],
)
def test_capabilities_that_a_program_would_inherit_are_seen(status, expected):
    assert has_ambient_capabilities(status) is expected
