"""A reload from a file of which a little has changed: what is the same goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ipvs_lb.commands import EditServer
from ipvs_lb.config import Loader
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.config import Config
from tests.daemon_world import REFUSED, World

SERVICES = 30


def text(*, weight: int = 1, first: int = 0) -> str:
    lines = ["version: 1", "services:"]
    for number in range(first, SERVICES):
        lines += [
            f"  - name: s{number}",
            f"    vip: {{address: 10.1.0.{number + 1}, managed: false}}",
            "    port: 80",
            "    health_check: {type: tcp, interval: 5s}",
            "    servers:",
            f"      - {{address: 10.2.{number}.1, weight: {weight if number == 7 else 1}}}",
            f"      - {{address: 10.2.{number}.2}}",
        ]
    return "\n".join(lines) + "\n"


class FileWorld(World):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.loader = Loader(path, environ={})

    def load(self) -> Config:
        return self.loader.load()

    def layouts(self):
        return self.balancer.snapshot().layouts

    def histories(self):
        return {
            probe: tuple(view.history) for probe, view in self.balancer.snapshot().probes.items()
        }


@pytest.fixture
def world(tmp_path: Path) -> FileWorld:
    (tmp_path / "lb.yaml").write_text(text())
    return FileWorld(tmp_path / "lb.yaml")


async def test_only_the_service_that_has_changed_is_laid_out_decided_and_written(world):
    await world.up(30)
    world.answer(1, REFUSED)
    await asyncio.sleep(30)
    before, histories, starts = world.layouts(), world.histories(), dict(world.prober.starts)
    done = len(world.kernel.executed)
    world.path.write_text(text(weight=9))
    await world.balancer.reload()
    await asyncio.sleep(0.1)
    after = world.layouts()
    assert [after[key] is before[key] for key in after] == [n != 7 for n in range(SERVICES)]
    assert not world.kernel.executed[done:]  # that server is down
    for probe, history in world.histories().items():
        assert history[: len(histories[probe])] == histories[probe]
        assert starts[probe] is world.prober.starts[probe]
    await world.down()


async def test_a_changed_weight_is_one_command(world):
    await world.up(30)
    done = len(world.kernel.executed)
    world.path.write_text(text(weight=9))
    await world.balancer.reload()
    await asyncio.sleep(0.1)
    (command,) = world.kernel.executed[done:]
    assert isinstance(command, EditServer)
    assert command.server.weight == 9
    await world.down()


async def test_services_that_only_moved_up_in_the_file_are_not_touched(world):
    await world.up(30)
    before = world.layouts()
    world.path.write_text(text(first=2))
    await world.balancer.reload()
    await asyncio.sleep(0.1)
    after = world.layouts()
    assert all(layout.seats is before[key].seats for key, layout in after.items())
    assert [layout.declared.origin for layout in after.values()] == [
        f"{world.path}:{3 + 7 * place}" for place in range(SERVICES - 2)
    ]
    assert len(world.kernel.table.services) == len(world.histories()) / 2 == SERVICES - 2
    await world.down()


async def test_a_refused_file_leaves_everything_as_it_is(world):
    await world.up(30)
    before, probes = world.layouts(), list(world.balancer.snapshot().probes)
    world.path.write_text(text(weight=9).replace("port: 80", "prot: 80", 1))
    with pytest.raises(ConfigError, match=r"5:5: services\.0\.prot: unknown key"):
        await world.balancer.reload()
    assert world.layouts() is before
    assert list(world.balancer.snapshot().probes) == probes
    await asyncio.sleep(30)
    world.path.write_text(text())
    await world.balancer.reload()
    assert all(world.layouts()[key] is before[key] for key in before)
    assert not world.balancer.snapshot().config_error
    await world.down()
