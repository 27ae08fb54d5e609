"""A configuration that changes on the disk, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ipvs_lb.config import load
from ipvs_lb.daemon.watch import Source, follow
from ipvs_lb.errors import ConfigError
from tests.daemon_world import Inline

HEAD = "version: 1\ninclude: [conf.d/*.yaml]\ndaemon: {watch: yes}\n"
SERVICE = "services: [{{name: {0}, vip: 10.0.0.{0}, port: 80, servers: []}}]\n"


class Watched:
    """A configuration in files, followed as the daemon does; `loads` is what every load came to."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lb.yaml"
        self.more = folder / "conf.d"
        self.more.mkdir()
        self.path.write_text(HEAD)
        self.source = Source(lambda seen: load(self.path, seen=seen))
        self.loads: list[list[str] | str] = []

    async def reload(self) -> None:
        try:
            config = self.source.load()
        except ConfigError as error:
            self.loads.append(error.problems[0].rpartition(": ")[2])
        else:
            self.loads.append([service.name for service in config.services])

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        await self.reload()
        self.loads.clear()
        task = asyncio.create_task(follow(self.source, self.reload, Inline()))
        await asyncio.sleep(10.5)
        yield
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


async def test_what_does_not_change_is_not_read_again(watched: Watched) -> None:
    async with watched.followed():
        await asyncio.sleep(60)
    assert watched.loads == []


async def test_a_change_is_one_reload_within_two_seconds(watched: Watched) -> None:
    async with watched.followed():
        watched.path.write_text(HEAD + SERVICE.format(4))
        await asyncio.sleep(2)
        assert watched.loads == [["4"]]
        await asyncio.sleep(60)
    assert watched.loads == [["4"]]


async def test_an_editor_that_replaces_the_file_is_noticed(watched: Watched) -> None:
    draft = watched.path.with_suffix(".swp")
    async with watched.followed():
        for number in (4, 6):
            draft.write_text(HEAD + SERVICE.format(number))
            draft.replace(watched.path)
            await asyncio.sleep(2)
    assert watched.loads == [["4"], ["6"]]


async def test_a_link_that_comes_to_lead_elsewhere_is_noticed(watched: Watched) -> None:
    for number in (4, 6):
        watched.path.with_name(f"{number}.yaml").write_text(HEAD + SERVICE.format(number))
    watched.path.unlink()
    watched.path.symlink_to("4.yaml")
    async with watched.followed():
        watched.path.unlink()
        watched.path.symlink_to("6.yaml")
        await asyncio.sleep(2)
    assert watched.loads == [["6"]]


async def test_a_file_that_is_still_being_written_waits(watched: Watched) -> None:
    async with watched.followed():
        text = HEAD
        for number in range(4):
            text += f"# line {number}\n"
            watched.path.write_text(text)
            await asyncio.sleep(1)
            assert watched.loads == []
        await asyncio.sleep(1)
        assert watched.loads == [[]]


async def test_included_files_count_when_they_change_come_and_go(watched: Watched) -> None:
    (watched.more / "a.yaml").write_text(SERVICE.format(4))
    async with watched.followed():
        (watched.more / "a.yaml").write_text(SERVICE.format(14))
        await asyncio.sleep(2)
        (watched.more / "b.yaml").write_text(SERVICE.format(6))
        await asyncio.sleep(2)
        (watched.more / "a.yaml").unlink()
        await asyncio.sleep(2)
    assert watched.loads == [["14"], ["14", "6"], ["6"]]


async def test_other_files_in_an_included_folder_do_not_count(watched: Watched) -> None:
    async with watched.followed():
        (watched.more / ".a.yaml.swp").write_text("x")
        (watched.more / "a.yaml~").write_text("x")
        await asyncio.sleep(5)
    assert watched.loads == []


async def test_a_name_that_looks_like_a_pattern_is_a_file_too(watched: Watched) -> None:
    odd = watched.more / "a[1].yaml"
    odd.write_text(SERVICE.format(4))
    async with watched.followed():
        odd.write_text(SERVICE.format(16))
        await asyncio.sleep(2)
    assert watched.loads == [["16"]]


async def test_a_refused_configuration_is_told_once_for_every_change(watched: Watched) -> None:
    async with watched.followed():
        watched.path.write_text("version: 2\n")
        await asyncio.sleep(30)
        assert watched.loads == ["expected 1, found 2"]
        watched.path.write_text("version: 33\n")
        await asyncio.sleep(30)
        assert watched.loads[1:] == ["expected 1, found 33"]
        watched.path.write_text(HEAD + SERVICE.format(4))
        await asyncio.sleep(2)
    assert watched.loads[2:] == [["4"]]


async def test_a_file_that_is_gone_is_told_once_and_read_when_it_is_back(watched: Watched) -> None:
    async with watched.followed():
        watched.path.unlink()
        await asyncio.sleep(30)
        assert watched.loads == ["No such file or directory"]
        watched.path.write_text(HEAD)
        await asyncio.sleep(2)
    assert watched.loads[1:] == [[]]


async def test_an_included_file_that_was_missing_is_read_when_it_comes(watched: Watched) -> None:
    async with watched.followed():
        watched.path.write_text(HEAD.replace("conf.d/*", "conf.d/a"))
        await asyncio.sleep(5)
        (watched.more / "a.yaml").write_text(SERVICE.format(4))
        await asyncio.sleep(2)
    assert watched.loads == ["No such file or directory", ["4"]]


async def test_a_change_during_the_reload_is_another_reload(watched: Watched) -> None:
    inner, texts = watched.reload, [HEAD + SERVICE.format(16)]

    async def reload() -> None:
        await inner()
        while texts:
            watched.path.write_text(texts.pop())

    async with watched.followed():
        pass
    task = asyncio.create_task(follow(watched.source, reload, Inline()))
    watched.path.write_text(HEAD + SERVICE.format(4))
    await asyncio.sleep(10)
    task.cancel()
    assert watched.loads == [["4"], ["16"]]


async def test_a_reload_by_other_means_is_not_done_again(watched: Watched) -> None:
    async with watched.followed():
        watched.path.write_text(HEAD + SERVICE.format(4))
        await watched.reload()
        await asyncio.sleep(10)
    assert watched.loads == [["4"]]


async def test_files_count_only_while_the_configuration_says_so(watched: Watched) -> None:
    async with watched.followed():
        watched.path.write_text("version: 1\n")
        await asyncio.sleep(5)
        watched.path.write_text(HEAD)
        await asyncio.sleep(60)
        assert watched.loads == [[]]
        await watched.reload()
        watched.path.write_text(HEAD + SERVICE.format(4))
        await asyncio.sleep(2)
    assert watched.loads == [[], [], ["4"]]
