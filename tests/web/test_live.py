"""What the page is sent and what its files are, without a browser: deltas, going on, limits, headers."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ipvs_lb.api.streams import MAX_STREAMS
from ipvs_lb.errors import KernelError
from ipvs_lb.events import Level
from ipvs_lb.web.board import Board
from tests.fake_control import CONFIG, FakeControl, many
from tests.running_api import Running

pytestmark = pytest.mark.real_time


class Reader:
    """One who reads the stream as the page does."""

    def __init__(self, connection: socket.socket, **query: object) -> None:
        self._file = connection.makefile("rb")
        target = f"/ui/live?{urlencode(query, doseq=True)}"
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.response = http.client.HTTPResponse(connection)
        self.response.begin()

    def event(self) -> tuple[str, Any]:
        kind = self.response.readline().decode().removeprefix("event: ").strip()
        content = json.loads(self.response.readline().removeprefix(b"data: "))
        self.response.readline()
        return kind, content

    def until(self, kind: str) -> Any:
        return self.before(kind)[-1][1]

    def before(self, kind: str) -> list[tuple[str, Any]]:
        """The events up to the first of that *kind*, with it."""
        seen = []
        while True:
            seen.append(self.event())
            if seen[-1][0] == kind:
                return seen


@contextmanager
def reading(running: Running, **query: object) -> Iterator[Reader]:
    with running.connect() as connection:
        yield Reader(connection, **query)


@pytest.fixture
def control() -> FakeControl:
    return FakeControl().everything_up()


@pytest.fixture
def running(control: FakeControl, tmp_path: Path) -> Iterator[Running]:
    with Running(control, tmp_path / "api.sock").up() as made:
        yield made


def services(events: list[tuple[str, Any]]) -> list[str]:
    return [one["service"] for kind, content in events if kind == "services" for one in content]


def test_all_services_are_told_once_and_then_those_that_change(running: Running) -> None:
    with reading(running) as reader:
        first = reader.before("reached")
        assert [kind for kind, _ in first[:2]] == ["head", "anew"]
        assert len(services(first)) == 3
        web = first[2][1][0]
        assert web["servers"][0] == ["10.0.0.4:80", "server-1", "up", "healthy", 1, 1, 0]
        running.do(lambda control: control.fail("2001:db8::4"))
        running.do(lambda control: control.tell("server.down", Level.WARNING, server="mx-1"))
        second = reader.before("events")
        changed = [content for kind, content in second if kind == "services"]
        assert ["tcp/[2001:db8::25]:25"] == services(second) == [s["service"] for s in changed[-1]]
        assert changed[-1][0]["servers"][0][2:6] == ["down", "failing", None, None]
        assert second[-1][1][0]["facts"] == {"server": "mx-1"}


def test_who_was_cut_off_goes_on_and_who_comes_from_elsewhere_is_told_all(running: Running) -> None:
    with reading(running) as reader:
        point = reader.until("reached")
    with reading(running, after=point) as reader:
        assert [kind for kind, _ in reader.before("head")] == ["head"]
        running.do(lambda control: control.fail("10.0.0.6"))
        assert services(reader.before("reached")) == ["tcp/10.0.0.16:80", "tcp/10.0.0.16:443"]
    for elsewhere in ("0123456789ab.1", "nonsense", point.partition(".")[0] + ".99"):
        with reading(running, after=elsewhere) as reader:
            assert "anew" in [kind for kind, _ in reader.before("reached")]


def test_a_service_that_went_is_told_to_be_gone(running: Running) -> None:
    def remove(control: FakeControl) -> None:
        before = control.decision
        kept = {k: v for k, v in before.services.items() if "25" not in str(k)}
        table = replace(before.table, services={k: before.table.services[k] for k in kept})
        control.decision = replace(before, services=kept, table=table)

    with reading(running) as reader:
        point = reader.until("reached")
        running.do(remove)
        assert reader.until("gone") == ["tcp/[2001:db8::25]:25"]
    with reading(running, after=point) as reader:
        assert ("gone", ["tcp/[2001:db8::25]:25"]) in reader.before("reached")


def test_details_come_of_what_is_in_sight_and_only_where_they_change(running: Running) -> None:
    sight = ["tcp/10.0.0.16:80@1-9", "tcp/[2001:db8::25]:25", "tcp/10.9.9.9:80@0-3"]
    with reading(running, sight=sight) as reader:
        rows = reader.until("details")["rows"]
        assert sorted(rows) == [
            "tcp/10.0.0.16:80",
            "tcp/10.0.0.16:80 10.0.0.6:80",
            "tcp/[2001:db8::25]:25",
        ]
        server = rows["tcp/10.0.0.16:80 10.0.0.6:80"]
        assert (server["ticks"], server["active_connections"]) == ("+", 12)
        assert server["rates"] == [7, 1500, 0, 0, 0]
        running.do(lambda control: control.fail("10.0.0.6", 1))
        assert sorted(reader.until("details")["rows"]) == ["tcp/10.0.0.16:80 10.0.0.6:80"]


def test_foreign_services_are_shown_with_what_the_kernel_has(tmp_path: Path) -> None:
    foreign = FakeControl(replace(CONFIG, services=CONFIG.services[:1])).everything_up()
    control = FakeControl(replace(CONFIG, services=CONFIG.services[1:])).everything_up()
    control.foreign = foreign.decision.table
    with (
        Running(control, tmp_path / "api.sock").up() as running,
        reading(running, sight="tcp/10.0.0.16:80@0-9") as reader,
    ):
        told = {s["service"]: s for s in reader.before("reached")[2][1]}
        assert told["tcp/10.0.0.16:80"]["owner"] == "foreign"
        assert told["tcp/10.0.0.16:80"]["servers"][0] == [
            "10.0.0.4:80", None, "foreign", None, 1, 1, None,
        ]  # fmt: skip
        assert reader.until("details")["rows"]["tcp/10.0.0.16:80 10.0.0.4:80"]["ticks"] == ""


def test_a_kernel_that_cannot_be_asked_is_told_in_the_head(running: Running) -> None:
    with reading(running, sight="tcp/10.0.0.16:80@0-9") as reader:
        reader.until("details")
        running.do(lambda control: control.broken.update(kernel=KernelError("no IPVS")))
        rows = reader.until("details")["rows"]
        assert rows["tcp/10.0.0.16:80"]["active_connections"] is None
        deadline = time.monotonic() + 10
        while reader.until("head")["kernel"]["error"] != "no IPVS":
            assert time.monotonic() < deadline


def test_a_table_that_was_read_anew_and_is_the_same_is_no_change(running: Running) -> None:
    def read_anew(control: FakeControl) -> None:
        services = control.decision.table.services
        copied = {k: replace(v, servers=dict(v.servers)) for k, v in services.items()}
        control.foreign = replace(control.decision.table, services=copied)

    with reading(running) as reader:
        reader.until("reached")
        running.do(read_anew)
        running.do(lambda control: control.tell("something.happened"))
        assert [kind for kind, _ in reader.before("events")] == ["head", "events"]


def test_however_many_look_on_the_kernel_is_asked_once(running: Running) -> None:
    asked: list[int] = []

    def count(control: FakeControl) -> None:
        statistics = control.statistics

        async def counted(keys: Any = None) -> Any:
            asked.append(len(keys))
            return await statistics(keys)

        control.statistics = counted  # type: ignore[method-assign]  # to see how often

    running.do(count)
    sight = ["tcp/10.0.0.16:80@0-9"]
    with reading(running, sight=sight) as one, reading(running, sight=sight) as other:
        one.until("details")
        other.until("details")
        assert asked == [1]


def test_there_are_only_so_many_streams_and_queries_are_checked(running: Running) -> None:
    for query in ("sight=" + "x" * 200, "event=-1", "evil=1", "&".join(["sight=a"] * 201)):
        assert running.ask("GET", f"/ui/live?{query}")[0] == 422
    connections = [running.connect() for _ in range(MAX_STREAMS)]
    readers = [Reader(connection) for connection in connections]
    assert all(reader.response.status == 200 for reader in readers)
    status, told = running.ask("GET", "/ui/live")
    assert (status, told["error"]["message"]) == (503, "32 others look on already")
    for connection in connections:
        connection.close()


async def test_what_changed_when_is_forgotten_a_while_after_the_last_one_has_gone() -> None:
    board = Board(FakeControl(many(3, 1)))
    with board.onlooker():
        point = (await board.look()).point
    assert not (await board.news(point)).anew
    board._forget()
    await board.look()
    assert (await board.news(point)).anew


def asked(running: Running, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("x")
    connection.sock = running.connect()
    connection.request("GET", path, headers={n.replace("_", "-"): v for n, v in headers.items()})
    answer = connection.getresponse()
    told = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return told


STATIC = files("ipvs_lb.web") / "static"


def test_the_page_is_small_and_lets_nothing_else_in(running: Running) -> None:
    whole = 0
    names = [one.name for one in STATIC.iterdir()]
    for path in ("/", "/ui", *(f"/ui/{name}" for name in names if name != "index.html")):
        status, headers, content = asked(running, path)
        assert status == 200, path
        whole += len(content)
        policy = headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= {*policy}
        assert "unsafe" not in str(policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert asked(running, path, if_none_match=headers["etag"])[0] == 304
    assert whole < 200_000
    assert asked(running, "/ui/page.py")[0] == asked(running, "/ui/../page.py")[0] == 404


def test_the_page_has_no_script_or_style_within_and_names_no_other_place() -> None:
    for one in STATIC.iterdir():
        text = one.read_text()
        assert "://" not in text.replace("http://www.w3.org/", ""), one.name
        assert "innerHTML" not in text
        assert " style=" not in text
        assert " on" + "click=" not in text
