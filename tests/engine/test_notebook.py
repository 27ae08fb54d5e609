"""What is written down, in virtual time: gathered, tried again, and sorted out after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ipvs_lb.engine import records
from ipvs_lb.engine.notebook import Notebook
from ipvs_lb.engine.roster import lay_out
from ipvs_lb.errors import StoreError
from ipvs_lb.events import KEPT, Event
from ipvs_lb.health import Health, Status
from ipvs_lb.model.config import Config
from ipvs_lb.model.settings import Server
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Removed
from ipvs_lb.simulation.clock import Inline
from tests.daemon_world import START, web
from tests.memory_store import MemoryStore

FOUR = lay_out(Config(services=(web(4),)))
BOTH = lay_out(Config(services=(web(4, 6),)))
HEALTH = Health(status=Status.UP, since=START)
DRAIN = Override(action=Action.DRAIN, since=START)
GONE = Removed(server=Server(), since=START, deadline=START + 300)


class Disk(MemoryStore):
    """Counts what is written, and fails while it is `full`."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[dict[str, str | None]] = []
        self.full = False

    def record(self, changes: Mapping[str, str | None]) -> None:
        if self.full:
            raise StoreError("the disk is full")
        self.writes.append(dict(changes))
        super().record(changes)


def notebook(disk: MemoryStore) -> Notebook:
    return Notebook(disk, Inline())


async def test_many_changes_are_one_write_with_the_last_of_each():
    disk = Disk()
    notes = notebook(disk)
    notes.put("health/1", "a")
    notes.put("health/2", "b")
    notes.put("health/1", "c")
    await notes.flush()
    assert disk.writes == [{"health/1": "c", "health/2": "b"}]


async def test_without_changes_nothing_is_written():
    disk = Disk()
    await notebook(disk).flush()
    assert disk.writes == []


async def test_what_waits_is_written_within_half_a_second():
    disk = Disk()
    notes = notebook(disk)
    task = asyncio.create_task(notes.run())
    await asyncio.sleep(0.7)
    notes.put("health/1", "a")
    assert disk.texts == {}
    await asyncio.sleep(0.5)
    assert disk.texts == {"health/1": "a"}
    task.cancel()


async def test_a_store_that_fails_is_told_and_tried_again():
    disk = Disk()
    notes = notebook(disk)
    notes.put("health/1", "a")
    notes.put("health/2", "b")
    errors = []
    for disk.full in (True, False):
        await notes.flush()
        errors.append(notes.error)
    assert errors == ["the disk is full", None]
    assert disk.texts == {"health/1": "a", "health/2": "b"}


async def test_a_change_that_waits_is_newer_than_one_that_could_not_be_written():
    disk = Disk()
    notes = notebook(disk)
    notes.put("health/1", "old")
    disk.full = True
    await notes.flush()
    disk.full = False
    notes.put("health/1", "new")
    await notes.flush()
    assert disk.writes == [{"health/1": "new"}]


async def test_no_more_than_the_last_events_are_kept():
    disk = Disk()
    notes = notebook(disk)
    for number in range(1, KEPT + 11):
        notes.put_event(Event(number=number, at=START, name="server.up"))
    await notes.flush()
    assert sorted(disk.texts) == [records.event_name_of(n) for n in range(11, KEPT + 11)]


async def written() -> Disk:
    """What a daemon with two servers left behind: everything about both, and two events."""
    disk = Disk()
    notes = notebook(disk)
    for probe in BOTH.users:
        notes.put(records.health_name(probe), records.health_text(HEALTH))
    for member in BOTH.seats:
        notes.put(records.override_name(member), records.override_text(DRAIN))
        notes.put(records.removed_name(member), records.removed_text(GONE))
    for number in (1, 2):
        notes.put_event(Event(number=number, at=START, name="server.up"))
    await notes.flush()
    return disk


async def test_after_a_restart_all_that_still_concerns_the_configuration_is_known():
    disk = await written()
    found = await notebook(disk).read(FOUR)
    (gone,) = BOTH.seats.keys() - FOUR.seats.keys()
    assert found.health == dict.fromkeys(FOUR.users, HEALTH)
    assert found.overrides == dict.fromkeys(FOUR.seats, DRAIN)
    assert found.removed == {gone: GONE}
    assert [event.number for event in found.events] == [1, 2]
    assert found.damaged == []


async def test_what_no_longer_concerns_the_configuration_is_forgotten_at_once():
    """Who is killed a moment later must not find it again when the configuration has changed back meanwhile."""
    disk = await written()
    await notebook(disk).read(FOUR)
    again = await notebook(disk).read(BOTH)
    assert again.health == dict.fromkeys(FOUR.users, HEALTH)
    assert again.overrides == dict.fromkeys(FOUR.seats, DRAIN)


async def test_a_damaged_record_is_named_forgotten_and_costs_nothing_else():
    disk = await written()
    (name, other) = (records.health_name(probe) for probe in BOTH.users)
    disk.texts[name] = "{"
    notes = notebook(disk)
    found = await notes.read(BOTH)
    assert found.damaged == [name]
    assert len(found.health) == 1
    await notes.flush()
    assert name not in disk.texts
    assert other in disk.texts
