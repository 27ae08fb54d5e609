"""A configuration that changes on the disk, in virtual time, heard by this kernel's inotify."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from ipvs_lb.config import load
from ipvs_lb.daemon.inotify import CONTENT, NAMES, Bell
from ipvs_lb.daemon.watch import SILENCE, Mark, Source, follow, places
from ipvs_lb.errors import ConfigError
from ipvs_lb.simulation.clock import Inline

HEAD = "version: 1\ninclude: [conf.d/*.yaml]\ndaemon: {watch: yes}\n"
SERVICE = "services: [{{name: {0}, vip: 10.0.0.{0}, port: 80, servers: []}}]\n"


class Counted(Source):
    """Notes when its files were looked at."""

    looks: list[float]

    def changes(self) -> Mapping[Path, Mark]:
        self.looks.append(asyncio.get_running_loop().time())
        return super().changes()


class Watched:
    """A configuration in files, followed as the daemon does; `loads` is what every load came to."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lb.yaml"
        self.more = folder / "conf.d"
        self.more.mkdir(parents=True)
        self.path.write_text(HEAD)
        self.source = Counted(lambda seen: load(self.path, seen=seen))
        self.source.looks = []
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
        self.source.looks.clear()
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
        for number in range(8):
            text += f"# line {number}\n"
            watched.path.write_text(text)
            await asyncio.sleep(0.7)
            assert watched.loads == []
        await asyncio.sleep(1.5)
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


async def test_as_long_as_nothing_is_heard_files_are_looked_at_once_a_minute(
    watched: Watched,
) -> None:
    async with watched.followed():
        (watched.more / "a.txt").write_text("of no concern, but its name is new")
        await asyncio.sleep(2)
        watched.source.looks.clear()
        (watched.more / "a.txt").write_text("of no concern")
        await asyncio.sleep(10 * SILENCE)
    assert 1 <= len(watched.source.looks) <= 10


async def test_many_changes_elsewhere_are_one_look_a_second(watched: Watched) -> None:
    async with watched.followed():
        for number in range(100):
            watched.path.with_name(f"{number}.txt").touch()
            await asyncio.sleep(0.1)
    assert 1 <= len(watched.source.looks) <= 11
    assert watched.loads == []


KEPT = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


async def test_more_changes_than_the_kernel_keeps_are_noticed(watched: Watched) -> None:
    async with watched.followed():
        here, there = watched.more / "a.txt", watched.more / "b.txt"
        here.touch()
        for _ in range(KEPT // 4 + 1):  # two events each, and there and back again
            here.rename(there)
            there.rename(here)
        watched.path.write_text(HEAD + SERVICE.format(4))
        await asyncio.sleep(2.5)
        assert watched.loads == [["4"]]
        watched.path.write_text(HEAD + SERVICE.format(6))
        await asyncio.sleep(2.5)
    assert watched.loads == [["4"], ["6"]]


async def test_a_folder_that_is_mounted_and_swapped_as_kubernetes_does_is_noticed(
    tmp_path: Path,
) -> None:
    watched = Watched(tmp_path / "etc")
    shutil.rmtree(tmp_path / "etc")
    for number in (1, 2, 3):
        folder = tmp_path / "etc" / f"..{number}"
        folder.mkdir(parents=True)
        (folder / "lb.yaml").write_text(
            "version: 1\ndaemon: {watch: yes}\n" + SERVICE.format(number)
        )
    current = tmp_path / "etc" / "..data"
    current.symlink_to("..1")
    watched.path.symlink_to("..data/lb.yaml")
    async with watched.followed():
        for number in (2, 3):
            draft = current.with_name("..data_tmp")
            draft.symlink_to(f"..{number}")
            draft.rename(current)
            shutil.rmtree(tmp_path / "etc" / f"..{number - 1}")
            await asyncio.sleep(2)
    assert watched.loads == [["2"], ["3"]]


async def test_an_included_folder_that_was_removed_is_followed_again_when_it_is_back(
    watched: Watched,
) -> None:
    (watched.more / "a.yaml").write_text(SERVICE.format(4))
    async with watched.followed():
        shutil.rmtree(watched.more)
        await asyncio.sleep(3)
        assert watched.loads == ["No such file or directory"]
        watched.more.mkdir()
        await asyncio.sleep(3)
        (watched.more / "a.yaml").write_text(SERVICE.format(6))
        await asyncio.sleep(3)
    assert watched.loads[1:] == [["6"]]


async def test_a_configuration_folder_that_is_replaced_as_a_whole_is_noticed(
    tmp_path: Path,
) -> None:
    watched = Watched(tmp_path / "deep" / "down" / "etc")
    async with watched.followed():
        (tmp_path / "deep").rename(tmp_path / "old")
        await asyncio.sleep(2)
        assert watched.loads == ["No such file or directory"]
        Watched(tmp_path / "deep" / "down" / "etc").path.write_text(HEAD + SERVICE.format(4))
        await asyncio.sleep(2)
        assert watched.loads[1:] == [["4"]]
        watched.path.write_text(HEAD + SERVICE.format(6))
        await asyncio.sleep(2)
    assert watched.loads[2:] == [["6"]]


async def test_a_file_that_is_written_under_another_name_of_it_is_noticed(
    watched: Watched, tmp_path: Path
) -> None:
    """As a single file that is mounted into a container is."""
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "name"
    other.hardlink_to(watched.path)
    async with watched.followed():
        other.write_text(HEAD + SERVICE.format(4))
        await asyncio.sleep(2)
    assert watched.loads == [["4"]]


async def test_where_a_file_system_does_not_tell_files_are_looked_at_each_second(
    tmp_path: Path,
) -> None:
    """The way through /proc is one that inotify knows nothing of."""
    watched = Watched(tmp_path)
    watched.path = Path(f"/proc/{os.getpid()}/root{watched.path}")
    async with watched.followed():
        await asyncio.sleep(60)
        assert 59 <= len(watched.source.looks) <= 61
        watched.path.write_text(HEAD + SERVICE.format(4))
        await asyncio.sleep(3)
    assert watched.loads == [["4"]]


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as lowest:  # noqa: PTH123  # its number is what counts
        number = lowest.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_an_inotify_to_have_there_is_no_ringing() -> None:
    with no_descriptors(), closing(Bell()) as bell:
        assert not bell.can_ring
        assert not bell.watch({"/": NAMES})
        assert bell.watch({})


async def test_without_an_inotify_to_have_files_are_looked_at_each_second(
    watched: Watched,
) -> None:
    await watched.reload()
    task = asyncio.create_task(follow(watched.source, watched.reload, Inline()))
    with no_descriptors():
        await asyncio.sleep(0.5)
    watched.path.write_text(HEAD + SERVICE.format(4))
    await asyncio.sleep(3)
    task.cancel()
    assert watched.loads[1:] == [["4"]]


async def test_a_folder_that_cannot_be_listened_to_is_no_silence(tmp_path: Path) -> None:
    with closing(Bell()) as bell:
        assert bell.watch({str(tmp_path): NAMES, str(tmp_path / "missing"): CONTENT})
        assert not bell.watch({"/proc": NAMES})


def test_links_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.symlink_to(other)
    other.symlink_to(one)
    assert str(tmp_path) in places([one / "lb.yaml"])


def test_a_way_up_is_followed_from_where_the_link_led(tmp_path: Path) -> None:
    """`link/../x` is not `x`."""
    far = tmp_path / "far" / "away"
    far.mkdir(parents=True)
    (tmp_path / "link").symlink_to(far)
    found = places([tmp_path / "link" / ".." / "lb.yaml"])
    assert {found[str(tmp_path)], found[str(far)], found[str(far.parent)]} == {NAMES}
    assert found[str(far.parent / "lb.yaml")] == CONTENT
