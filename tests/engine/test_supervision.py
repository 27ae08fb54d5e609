"""Work that is meant to go on for ever, in virtual time."""

from __future__ import annotations

import asyncio
from itertools import islice

import pytest

from ipvs_lb.engine.supervision import doubling, forever


class Told(list[tuple[str, str, float]]):
    """What the supervisor said, with the time it said it at in `times`."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, name: str, what: str, pause: float) -> None:
        self.append((name, what, pause))
        self.times.append(asyncio.get_running_loop().time())


async def supervised(work, seconds: float) -> Told:
    told = Told()
    task = asyncio.create_task(forever("probes", work, told))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return told


def test_pauses_double_up_to_a_minute():
    assert list(islice(doubling(), 9)) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_crash_is_told_with_its_place_and_the_work_begun_again_after_the_pause():
    async def crash():
        raise ValueError("no such thing")

    told = await supervised(crash, 10)
    assert told.times == [0, 1, 3, 7]
    assert [pause for _, _, pause in told] == [1, 2, 4, 8]
    name, what, _ = told[0]
    assert name == "probes"
    assert what.startswith("ValueError: no such thing (")
    assert "test_supervision.py:" in what


async def test_work_that_returns_is_a_fault_too():
    async def nothing():
        return

    assert await supervised(nothing, 0.5) == [("probes", "it returned", 1)]


async def test_work_that_goes_on_is_left_alone():
    async def work():
        await asyncio.Event().wait()

    assert await supervised(work, 1000) == []


async def test_being_cancelled_ends_the_work_and_is_no_crash():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    assert await supervised(work, 1) == []
    assert ended == [True]


async def test_being_cancelled_during_a_pause_ends_it():
    async def crash():
        raise OSError("gone")

    assert len(await supervised(crash, 0.5)) == 1


async def test_a_call_to_leave_the_process_is_not_held_back():
    async def leave():
        raise SystemExit(3)

    work = forever("probes", leave, Told())
    with pytest.raises(SystemExit):
        work.send(None)
