"""One transaction for each change: what is owed goes with the next, what comes at once goes together, in order."""

from __future__ import annotations

import asyncio

import pytest

from ipvs_lb.errors import StoreError
from ipvs_lb.octavia.ledger import PATIENCE, Ledger


class Disk:
    """Takes a second for each transaction; `full` refuses them."""

    def __init__(self) -> None:
        self.written: list[dict[str, str | None]] = []
        self.full = False

    async def write(self, texts) -> None:
        await asyncio.sleep(1)
        if self.full:
            raise StoreError("no space left on device")
        self.written.append(dict(texts))


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def ledger(disk) -> Ledger:
    return Ledger(disk.write)


async def test_what_is_owed_goes_with_the_next_change_which_overwrites_it(disk, ledger):
    ledger.owe({"a": "ACTIVE", "b": None})
    await ledger.keep({"a": "PENDING"})
    assert disk.written == [{"a": "PENDING", "b": None}]
    await asyncio.sleep(10)
    assert len(disk.written) == 1


async def test_what_is_owed_is_written_after_a_moment_without_a_change(disk, ledger):
    ledger.owe({"a": "ACTIVE"})
    ledger.owe({"b": "ACTIVE"})
    await asyncio.sleep(PATIENCE + 2)
    assert disk.written == [{"a": "ACTIVE", "b": "ACTIVE"}]
    ledger.owe({"c": None})
    await asyncio.sleep(PATIENCE + 2)
    assert disk.written[1:] == [{"c": None}]


async def test_changes_that_come_while_one_is_written_share_the_next_transaction(disk, ledger):
    await asyncio.gather(*(ledger.keep({str(number): "x"}) for number in range(20)))
    assert [len(one) for one in disk.written] == [1, 19]


async def test_a_full_disk_refuses_all_that_share_it_and_what_is_owed_stays_so(disk, ledger):
    disk.full = True
    ledger.owe({"a": "ACTIVE"})
    outcomes = await asyncio.gather(
        *(ledger.keep({str(number): "x"}) for number in range(3)), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [StoreError] * 3
    ledger.owe({"a": "ERROR"})
    disk.full = False
    await ledger.settle()
    assert disk.written[-1] == {"a": "ERROR"}


async def test_settling_waits_for_room(disk, ledger):
    disk.full = True
    ledger.owe({"a": "ACTIVE"})
    settling = asyncio.create_task(ledger.settle())
    await asyncio.sleep(10)
    assert not settling.done()
    disk.full = False
    await settling
    assert disk.written == [{"a": "ACTIVE"}]


async def test_who_goes_while_it_is_written_leaves_the_others_to_be_written(disk, ledger):
    first, second = (asyncio.create_task(ledger.keep({name: "x"})) for name in "ab")
    await asyncio.sleep(0.5)
    first.cancel()
    await second
    assert disk.written == [{"a": "x", "b": "x"}]
