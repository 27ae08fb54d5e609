"""What the state file withstands: being damaged, foreign, newer, unreadable, and a death at any moment."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.errors import StoreError, UsageError
from ipvs_lb.model.desired import Desired, Owned
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Service
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.store import SqliteStore, database
from ipvs_lb.store.sqlite import KEPT_GENERATIONS

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
OURS = Owned(frozenset({WEB}))
WEB_TABLE = Desired(Table({WEB: VirtualService(Service(scheduler="rr"))}))

# commits with as many services as the generation's number, so that a torn state shows
WRITER = """
import sys
from ipaddress import IPv4Address
from pathlib import Path
from ipvs_lb.model.desired import Desired, owned_by
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Service
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
number = store.generations()[-1].number if store.generations() else 0
print("ready", flush=True)
while True:
    number += 1
    keys = [AddressKey(IPProtocol.TCP, IPv4Address(n), Port(80)) for n in range(number)]
    desired = Desired(Table({key: VirtualService(Service(scheduler="rr")) for key in keys}))
    store.claim(owned_by(desired))
    store.commit(desired, origin="writer", now=0.0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "ipvs-lb" / "state.db"


@pytest.fixture
def used(path: Path) -> Path:
    SqliteStore(path).commit(WEB_TABLE, origin="lb.yaml", now=1.0)
    return path


def aside(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if "corrupt-" in p.name)


def test_reading_makes_no_file(path: Path) -> None:
    store = SqliteStore(path)
    assert store.owned() == Owned()
    assert store.generations() == ()
    assert not path.parent.exists()


def test_the_state_is_for_its_owner_alone(used: Path) -> None:
    assert used.parent.stat().st_mode & 0o777 == 0o700
    files = list(used.parent.iterdir())
    assert used in files
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_only_the_last_generations_are_kept_and_numbers_are_never_given_twice(path: Path) -> None:
    store = SqliteStore(path)
    for number in range(KEPT_GENERATIONS + 5):
        store.commit(WEB_TABLE, origin="lb.yaml", now=number)
    numbers = [kept.number for kept in SqliteStore(path).generations()]
    assert numbers == list(range(6, KEPT_GENERATIONS + 6))
    with pytest.raises(UsageError, match=f"kept are 6 to {KEPT_GENERATIONS + 5}"):
        store.generation(1)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not a database at all" * 100, id="garbage"),
        pytest.param(b"SQLite format 3\0" + bytes(4080), id="header-only"),
    ],
)
def test_a_damaged_file_is_set_aside_by_the_first_change_and_told(
    path: Path, content: bytes
) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    store = SqliteStore(path)
    assert store.owned() == Owned()
    assert path.read_bytes() == content
    assert "is damaged" in store.warnings[0]
    store.claim(OURS)
    assert "no longer known as ours" in store.warnings[1]
    (kept,) = aside(path)
    assert path.with_name(kept).read_bytes() == content
    assert SqliteStore(path).owned() == OURS


def test_a_page_overwritten_in_the_middle_is_noticed(used: Path) -> None:
    with used.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    store = SqliteStore(used)
    store.commit(WEB_TABLE, origin="lb.yaml", now=2.0)
    assert len(store.warnings) == 1
    assert len(aside(used)) == 1
    assert [kept.number for kept in store.generations()] == [1]


def test_another_programs_database_is_set_aside_untouched(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.close()
    content = path.read_bytes()
    store = SqliteStore(path)
    store.claim(OURS)
    assert "another program's database" in store.warnings[0]
    assert path.with_name(aside(path)[0]).read_bytes() == content


def test_source_nat_of_an_earlier_version_is_a_firewall_of_ours(used: Path) -> None:
    with sqlite3.connect(used) as connection:
        connection.execute("INSERT INTO owned VALUES ('source_nat', '')")
    connection.close()
    store = SqliteStore(used)
    assert store.owned().firewall
    assert not store.warnings
    store.claim(store.owned())
    assert store.owned().firewall
    store.claim(Owned())
    assert not store.owned().firewall


def test_an_entry_that_cannot_be_understood_counts_as_damage(used: Path) -> None:
    with sqlite3.connect(used) as connection:
        connection.execute("INSERT INTO owned VALUES ('service', 'quic/10.0.0.1:443')")
    connection.close()
    store = SqliteStore(used)
    assert store.owned() == Owned()
    assert "quic/10.0.0.1:443" in store.warnings[0]


def test_a_generation_that_cannot_be_unpacked_is_a_clear_error(used: Path) -> None:
    with sqlite3.connect(used) as connection:
        connection.execute("UPDATE generations SET desired = x'00'")
    connection.close()
    with pytest.raises(StoreError, match="generation 1 cannot be read"):
        SqliteStore(used).generation(1)


def test_a_file_of_a_newer_version_is_refused_and_stays(used: Path) -> None:
    with sqlite3.connect(used) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    store = SqliteStore(used)
    for call in (store.owned, lambda: store.claim(OURS)):
        with pytest.raises(StoreError, match=r"state version 99, expected at most 2"):
            call()
    assert aside(used) == []


def test_an_older_file_is_migrated_in_the_transaction_of_the_first_change(used: Path) -> None:
    def add_notes(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE notes (text TEXT)")

    migrations = (*database.MIGRATIONS, add_notes)
    with database.writing(used, migrations) as connection:
        connection.execute("INSERT INTO notes VALUES ('new')")
    with sqlite3.connect(used) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("new",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT count(*) FROM generations").fetchone() == (1,)
    connection.close()


def test_a_change_that_fails_half_way_changes_nothing(used: Path) -> None:
    class UnforeseenError(Exception):
        pass

    def fail_after_deleting() -> None:
        with database.writing(used) as connection:
            connection.execute("DELETE FROM owned")
            raise UnforeseenError

    with pytest.raises(UnforeseenError):
        fail_after_deleting()
    assert SqliteStore(used).owned() == OURS


def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        SqliteStore(tmp_path / "file" / "state.db").claim(OURS)


def test_a_file_held_by_another_program_is_named(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    other = sqlite3.connect(used, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked") as caught:
        SqliteStore(used).claim(OURS)
    other.close()
    assert "fuser" in (caught.value.hint or "")


def test_two_damaged_files_in_one_second_are_both_kept(path: Path) -> None:
    for _ in range(2):
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in path.parent.glob("state.db*"):
            if "corrupt" not in file.name:
                file.unlink()
        path.write_bytes(b"garbage" * 1000)
        SqliteStore(path).claim(OURS)
    assert len(aside(path)) == 2


@pytest.mark.timeout(120)
def test_a_writer_killed_at_any_moment_leaves_a_whole_state(path: Path) -> None:
    moments = random.Random(20)
    for _ in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=os.environ
        )
        assert child.stdout is not None
        with child.stdout:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0, 0.06))
            child.send_signal(signal.SIGKILL)
            child.wait()
        store = SqliteStore(path)
        kept, owned = store.generations(), store.owned()
        newest = kept[-1].number if kept else 0
        assert store.warnings == ()
        assert [one.services for one in kept] == [one.number for one in kept]
        assert all(
            len(store.generation(k.number).desired.table.services) == k.services for k in kept
        )
        assert len(owned.services) in {newest, newest + 1}


def test_records_are_kept_replaced_and_forgotten(used: Path) -> None:
    store = SqliteStore(used)
    store.record({"health/a": "1", "health/b": "2"})
    store.record({"health/a": None, "health/b": "3", "health/none": None})
    assert SqliteStore(used).records() == {"health/b": "3"}


def test_a_file_from_before_there_were_records_has_none(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with database.writing(path, database.MIGRATIONS[:1]):
        pass
    store = SqliteStore(path)
    assert store.records() == {}
    store.record({"a": "1"})
    assert store.records() == {"a": "1"}


def test_a_file_that_is_damaged_while_the_store_is_in_use_is_set_aside_by_the_next_change(
    used: Path,
) -> None:
    store = SqliteStore(used)
    store.record({"first": "1"})
    used.write_bytes(b"\x00" * used.stat().st_size)
    used.with_name(f"{used.name}-wal").unlink(missing_ok=True)
    store.record({"second": "2"})
    assert store.records() == {"second": "2"}
    assert len([name for name in aside(used) if not name.endswith(("-wal", "-shm"))]) == 1


def test_a_file_that_another_took_the_place_of_is_looked_at_anew(used: Path) -> None:
    store = SqliteStore(used)
    store.record({"first": "1"})
    other = used.with_name("other")
    content = used.read_bytes()
    other.write_bytes(content[:5000] + b"\xff" * (len(content) - 5000))
    other.rename(used)
    store.record({"second": "2"})
    assert store.records() == {"second": "2"}
    assert "was damaged" in store.warnings[0]


def wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def test_records_are_carried_over_into_the_file_at_the_end_and_not_by_each_change(
    path: Path,
) -> None:
    with SqliteStore(path) as store:
        for number in range(3):
            store.record({"a": str(number)})
            assert SqliteStore(path).records() == {"a": str(number)}
            assert wal(path).exists()
        store.claim(OURS)
        assert wal(path).exists()
    assert not wal(path).exists()
    assert (SqliteStore(path).records(), SqliteStore(path).owned()) == ({"a": "2"}, OURS)


def test_a_file_that_is_taken_away_while_it_is_kept_open_is_made_again(path: Path) -> None:
    with SqliteStore(path) as store:
        store.record({"a": "1"})
        for file in path.parent.iterdir():
            file.unlink()
        store.record({"b": "2"})
        assert wal(path).exists()
    assert SqliteStore(path).records() == {"b": "2"}


def test_another_process_does_not_take_away_what_is_kept_open(path: Path) -> None:
    """SQLite's locks would be gone with the closing of any descriptor of the file."""
    reader = "import sys\nfrom pathlib import Path\nfrom ipvs_lb.store import SqliteStore\n"
    reader += (
        "store = SqliteStore(Path(sys.argv[1]))\nstore.claim(store.owned())\nprint(store.records())"
    )
    with SqliteStore(path) as store:
        store.record({"a": "1"})
        store.claim(OURS)
        inode = wal(path).stat().st_ino
        said = subprocess.run(
            [sys.executable, "-c", reader, str(path)], check=True, capture_output=True, text=True
        )
        assert said.stdout == "{'a': '1'}\n"
        assert wal(path).stat().st_ino == inode
        store.record({"a": "2"})
    assert SqliteStore(path).records() == {"a": "2"}
