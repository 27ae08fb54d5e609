"""Which kernel is taken, and what is said when a guest dies, hangs or never runs its command.

The guest programs here are small scripts, run as real processes in place of user-mode Linux.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ipvs_lb.errors import LabError
from ipvs_lb.lab.boot import parse_memory
from ipvs_lb.lab.guest import Candidate, GuestError, Kind, TimeLimitError, choose, run

NOTHING: frozenset[str] = frozenset()
NFTABLES = frozenset({"nftables"})
# What a guest's first process does with a job, without a kernel around it; out and err are its consoles.
RUN_THE_JOB = """
for word in "$@"; do case $word in
    IPVS_LB_JOB=*) job=${word#*=} ;;
    con1=*) out=${word##*:} ;;
    con2=*) err=${word##*:} ;;
esac; done
echo "kernel says hello"
"""
COMPLETELY = ': >"$job/started"; bash "$job/command" >&"$out" 2>&"$err"; echo $? >"$job/status"'


def candidate(kind: Kind, features: frozenset[str], *, here: bool) -> Candidate:
    return Candidate(kind, features, lambda: here)


def machine(*, host: bool, uml: bool, qemu: bool) -> tuple[Candidate, ...]:
    return (
        candidate(Kind.HOST, NFTABLES, here=host),
        candidate(Kind.UML, NOTHING, here=uml),
        candidate(Kind.QEMU, NFTABLES, here=qemu),
    )


@pytest.mark.parametrize(
    ("candidates", "needs", "kind"),
    [
        pytest.param(machine(host=True, uml=True, qemu=True), NOTHING, Kind.HOST, id="own-kernel"),
        pytest.param(machine(host=False, uml=True, qemu=True), NOTHING, Kind.UML, id="quickest"),
        pytest.param(machine(host=False, uml=True, qemu=True), NFTABLES, Kind.QEMU, id="able"),
        pytest.param(machine(host=False, uml=False, qemu=True), NOTHING, Kind.QEMU, id="last"),
    ],
)
def test_the_first_kernel_that_is_there_and_able_is_taken(
    candidates: tuple[Candidate, ...], needs: frozenset[str], kind: Kind
) -> None:
    assert choose(needs, None, candidates) is kind


def test_a_forced_kernel_is_taken_as_it_is() -> None:
    assert choose(NFTABLES, "uml", machine(host=True, uml=False, qemu=True)) is Kind.UML


def test_a_forced_kernel_must_exist() -> None:
    with pytest.raises(LabError, match="guest 'xen' is none of host, uml, qemu"):
        choose(NOTHING, "xen")


def test_no_kernel_at_all_is_said_with_what_was_needed() -> None:
    with pytest.raises(LabError, match="no kernel with IPVS with nftables"):
        choose(NFTABLES, None, machine(host=False, uml=True, qemu=False))


@pytest.mark.parametrize(("text", "size"), [("512M", 512 << 20), ("2G", 2 << 30)])
def test_memory_has_a_unit(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "512", "0G", "-1G", "1.5G", "2g", "2G\n"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(LabError, match="is not a size"):
        run(["true"], memory=text)


def test_no_command_is_refused() -> None:
    with pytest.raises(LabError, match="no command"):
        run([])


@pytest.fixture
def fake_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of the user-mode kernel."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    modules = tmp_path / "modules"
    (modules / "6.1").mkdir(parents=True)
    (modules / "6.1" / "modules.dep").touch()
    monkeypatch.setenv("IPVS_LB_UML_MODULES", str(modules))

    def install(script: str) -> None:
        program = tmp_path / "guest"
        program.write_text(f"#!/bin/bash\n{RUN_THE_JOB}\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("IPVS_LB_UML", str(program))

    return install


def test_output_streams_through_and_the_status_is_the_commands(
    fake_guest: Callable[[str], None], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fake_guest(COMPLETELY)
    assert run(["sh", "-c", "echo out; echo err >&2; exit 3"], kind=Kind.UML, timeout=20) == 3
    assert capfd.readouterr() == ("out\n", "err\n")
    assert not list((tmp_path / "tmp").iterdir()), "the job's folder stayed"


def test_the_command_runs_in_the_callers_folder_with_its_words_unchanged(
    fake_guest: Callable[[str], None],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VIRTUAL_ENV", "/some where")
    fake_guest(COMPLETELY)
    script = 'pwd; printf "%s|" "$VIRTUAL_ENV" "$@"'
    assert run(["sh", "-c", script, "sh", "a b", "$c", "'d'"], kind=Kind.UML, timeout=20) == 0
    assert capfd.readouterr().out == f"{folder}\n/some where|a b|$c|'d'|"


def test_a_guest_that_dies_before_it_ran_the_command_is_an_error_with_its_console(
    fake_guest: Callable[[str], None], tmp_path: Path
) -> None:
    fake_guest('echo "Kernel panic - not syncing"; exit 1')
    with pytest.raises(GuestError) as caught:
        run(["true"], kind=Kind.UML, timeout=20)
    assert "died (status 1) before it ran it" in str(caught.value)
    assert "console: Kernel panic - not syncing" in str(caught.value)
    assert caught.value.exit_code == 125
    (folder,) = (tmp_path / "tmp").iterdir()
    assert [path.name for path in folder.iterdir()] == ["console.log"]


def test_a_guest_that_dies_while_running_the_command_is_an_error_of_its_own(
    fake_guest: Callable[[str], None],
) -> None:
    fake_guest(': >"$job/started"; kill -SEGV $$')
    with pytest.raises(GuestError, match=r"died \(status -11\) while running the command"):
        run(["true"], kind=Kind.UML, timeout=20)


def test_a_guest_that_says_all_is_well_without_a_status_is_not_believed(
    fake_guest: Callable[[str], None],
) -> None:
    fake_guest("exit 0")
    with pytest.raises(GuestError):
        run(["true"], kind=Kind.UML, timeout=20)


def test_a_guest_that_hangs_is_ended_with_all_it_started(
    fake_guest: Callable[[str], None], tmp_path: Path
) -> None:
    child = tmp_path / "child"
    fake_guest(f"sleep 600 & echo $! >{shlex.quote(str(child))}; wait")
    with pytest.raises(TimeLimitError, match="did not start the command within 1 s") as caught:
        run(["true"], kind=Kind.UML, timeout=1)
    assert caught.value.exit_code == 124
    assert is_gone(int(child.read_text()))


def test_a_command_that_hangs_is_told_from_a_guest_that_hangs(
    fake_guest: Callable[[str], None],
) -> None:
    fake_guest(': >"$job/started"; sleep 600')
    with pytest.raises(TimeLimitError, match="sleep 600: still running after 1 s"):
        run(["sleep", "600"], kind=Kind.UML, timeout=1)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_runner_is_killed_its_guest_goes_too(
    fake_guest: Callable[[str], None], tmp_path: Path, signal_number: signal.Signals
) -> None:
    child = tmp_path / "child"
    fake_guest(f"sleep 600 & echo $! >{shlex.quote(str(child))}; wait")
    command = [sys.executable, "-m", "ipvs_lb.lab", "--kind", "uml", "true"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}) as runner:
        assert eventually(lambda: child.exists() and child.read_text().strip() != "")
        runner.send_signal(signal_number)
    assert is_gone(int(child.read_text()))


def is_gone(process: int) -> bool:
    """Whether a process ends soon; one that nobody has reaped yet has ended."""
    status = Path(f"/proc/{process}/stat")
    return eventually(lambda: not status.exists() or ") Z " in status.read_text())


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False
