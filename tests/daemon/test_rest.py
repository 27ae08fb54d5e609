"""What a process does so as to live long."""

import asyncio
import gc
import subprocess
import sys

from ipvs_lb.daemon.rest import keep_settled, settle_down
from tests.daemon_world import World, web


def test_what_is_alive_is_not_walked_by_the_collector_any_more():
    try:
        settle_down()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


async def test_every_configuration_that_comes_into_force_is_settled():
    world = World(web(4, 6))
    balancer = await world.up()
    keeping = asyncio.get_running_loop().create_task(keep_settled(balancer))
    try:
        for servers in ((4,), (4, 6)):
            while not gc.get_freeze_count():  # noqa: ASYNC110  # another thread does it, in real time
                await asyncio.sleep(1)
            await asyncio.sleep(100)
            gc.unfreeze()
            await world.reload(web(*servers))
        assert not keeping.done()
    finally:
        keeping.cancel()
        gc.unfreeze()


def test_threads_let_the_event_loop_in_soon():
    program = "import sys; from ipvs_lb.daemon.rest import prepare; prepare(); print(sys.getswitchinterval())"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert float(told.stdout) < 0.005


def test_logging_does_not_bring_rich_into_the_daemon():
    program = "import sys, ipvs_lb.daemon.logs; print('rich' in sys.modules); import rich; print(rich.__name__)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert told.stdout.split() == ["False", "rich"]
