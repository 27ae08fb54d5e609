"""The lock on a state directory, against a real second process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipvs_lb.errors import LockedError, StoreError
from ipvs_lb.store.lock import Holder, locked

HOLDER = """
import sys, time
from pathlib import Path
from ipvs_lb.store import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def held_elsewhere(directory: Path, seconds: float) -> Iterator[int]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory), str(seconds)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"held\n"
        try:
            yield child.pid
        finally:
            child.kill()
            child.wait()


def test_a_lock_that_is_free_is_taken_and_given_back(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "state"):
            pass
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "lock").stat().st_mode & 0o777 == 0o600


def test_a_held_lock_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    with (
        held_elsewhere(tmp_path, 30) as pid,
        pytest.raises(LockedError) as caught,
        locked(tmp_path),
    ):
        pass
    message = str(caught.value)
    assert f"in use by process {pid} (-c {tmp_path} 30) since 2" in message
    assert caught.value.hint == "wait for it with --wait SECONDS"


def test_waiting_takes_the_lock_when_the_holder_is_done(tmp_path: Path) -> None:
    told: list[Holder | None] = []
    with held_elsewhere(tmp_path, 0.2) as pid, locked(tmp_path, wait=20, on_wait=told.append):
        pass
    assert [holder.pid for holder in told if holder] == [pid]


def test_waiting_ends_at_its_limit(tmp_path: Path) -> None:
    start = time.monotonic()
    with held_elsewhere(tmp_path, 30), pytest.raises(LockedError), locked(tmp_path, wait=0.2):
        pass
    assert time.monotonic() - start < 10


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path, 30):
        pass
    with locked(tmp_path):
        pass


def test_a_lock_file_with_unreadable_content_is_no_obstacle(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path, 30):
        (tmp_path / "lock").write_text("[1, 2")
        with pytest.raises(LockedError, match="in use by another ipvs-lb"), locked(tmp_path):
            pass


def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"), locked(tmp_path / "file"):
        pass
