"""`kill -9` in the middle of everything the daemon does: who is healthy goes on serving, and the next daemon goes on."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import cycle, islice

import pytest

from ipvs_lb.errors import LBError
from netns_tests.balance import ONE, THREE, TWO, config, new_vip, server, service
from netns_tests.daemon import HTTP, IN, PORT, SLACK, Backend, eventually, running, talk_to, web
from netns_tests.launcher import Launcher
from netns_tests.witness import Look, Witness, service_key

KILLS = 50
OTHERS = range(9000, 9040)
OTHER_SERVERS = ("10.0.0.51", "10.0.0.52")
CHECK = {**HTTP, "interval": "500ms", "fast_interval": "500ms", "timeout": "490ms", "fall": 3}
"""Who is healthy has a second and a half to answer, also while the machine has other things to do."""


@pytest.fixture(scope="module")
def backends(bench):
    return [Backend(host) for host in bench.servers]


@pytest.fixture
def daemon(bench, tmp_path):
    with running(bench, tmp_path, Launcher(bench.gateway).start) as started:
        yield started


@pytest.fixture
def look(bench):
    with closing(Look(bench.gateway)) as opened:
        yield opened


class Scenes:
    """A daemon that has something to do: each scene begins something, and `is_as_wanted` says how it has to end.

    server-1 and server-2 are declared and healthy throughout. Everything else changes.
    """

    def __init__(self, daemon, dice, failing, look):
        self.vip, self.others = new_vip(), new_vip()
        self._daemon, self._dice, self._failing, self._look = daemon, dice, failing, look
        self._number = 1
        self._weights = {ONE: 1, TWO: 1}
        self._orders: dict[str, int] = {}
        self._request: Request | None = None
        self._write()

    def all(self) -> dict[Callable[[], None], float]:
        """The scenes, each with the part of a reload's time within which the kill is to come."""
        return {
            self.start: 1.0,
            self.reload: 1.0,
            self.apply: 0.5,
            self.commit: 0.25,
            self.order: 0.25,
            self.drain: 0.5,
            self.remove: 1.0,
            self.fail: 1.5,
        }

    def start(self) -> None:
        self._daemon.end(signal.SIGKILL)
        self._change()
        self._daemon.start(wait=False)

    def reload(self) -> None:
        self._change()
        self._daemon.send(signal.SIGHUP)

    def apply(self) -> None:
        self.reload()
        self._until_written(OTHERS[0])

    def commit(self) -> None:
        self.reload()
        self._until_written(OTHERS[-1])

    def order(self) -> None:
        weight = self._dice.randint(1, 9)
        self._ask(lambda: self._daemon.order(TWO, "weight", weight=weight))
        self._orders[TWO] = weight

    def drain(self) -> None:
        if THREE not in self._weights:
            self.remove()
        elif self._orders.pop(THREE, None) is not None:
            self._ask(lambda: self._daemon.take_back(THREE))
        else:
            self._ask(lambda: self._daemon.order(THREE, "drain"))
            self._orders[THREE] = 0

    def remove(self) -> None:
        if self._weights.pop(THREE, None) is None:
            self._weights[THREE] = 1
        self._orders.pop(THREE, None)
        self.reload()

    def fail(self) -> None:
        self._failing.status = 200 if self._failing.status == 500 else 500

    def settle(self) -> None:
        """The daemon after the kill is up: ask again what the one before did not live to answer."""
        request, self._request = self._request, None
        if request is not None and not request.was_answered():
            request.order()

    def is_as_wanted(self) -> bool:
        """Whether the kernel has what it has to have now."""
        found = self._look.weights(service_key(self.vip, PORT))
        three = found.pop(THREE, None)
        faithful = {ONE: self._weights[ONE], TWO: self._orders.get(TWO, self._weights[TWO])}
        if found != faithful or three not in self._allowed():
            return False
        return all(map(self._is_written, OTHERS))

    def _allowed(self) -> set[int | None]:
        """When a drain is over depends on the clients' connections."""
        if THREE not in self._weights or THREE in self._orders:
            return {0, None}
        return {0} if self._failing.status == 500 else {self._weights[THREE]}

    def _is_written(self, port: int) -> bool:
        weights: dict[str, int] = self._look.weights(service_key(self.others, port))
        return weights == dict.fromkeys(OTHER_SERVERS, self._number)

    def _until_written(self, port: int) -> None:
        eventually(lambda: self._is_written(port), SLACK, "it is written")

    def _ask(self, order: Callable[[], None]) -> None:
        self._request = Request(order)

    def _change(self) -> None:
        self._number += 1
        for one in self._weights:
            self._weights[one] = self._dice.randint(1, 9)
        self._write()

    def _write(self) -> None:
        """Beside the one that is looked at, forty services: planning, applying and recording them takes a while."""
        servers = [server(one, weight=weight) for one, weight in self._weights.items()]
        settings = {"scheduler": "wrr", "on_down": "quiesce", "drain_timeout": "2s"}
        others = [server(one, weight=self._number) for one in OTHER_SERVERS]
        ports = [f"{OTHERS[0]}-{OTHERS[-1]}"]
        text = config(
            web(self.vip, *servers, health_check=CHECK, **settings),
            service(self.others, *others, ports=ports, scheduler="wrr"),
        )
        self._daemon.balancer.write(text)


class Request:
    """An order that the daemon is asked for, and perhaps does not live to answer."""

    def __init__(self, order: Callable[[], None]) -> None:
        self.order = order
        self._answered = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        with contextlib.suppress(LBError):
            self.order()
            self._answered = True

    def was_answered(self) -> bool:
        self._thread.join(SLACK)
        return self._answered


def assert_readable(state_dir) -> None:
    """Looked at in a copy, because looking is already the first step of repairing."""
    copy = state_dir.with_name("copy")
    shutil.copytree(state_dir, copy)
    with closing(sqlite3.connect(copy / "state.db")) as kept:
        assert kept.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    shutil.rmtree(copy)
    assert list(state_dir.glob("*corrupt*")) == []


@pytest.mark.timeout(500)
def test_killed_with_9_at_fifty_random_moments_no_healthy_server_goes_and_the_table_ends_as_wanted(
    bench, backends, daemon, dice, look
):
    """An order that was answered is kept; one that was not is asked for once more. No client notices anything."""
    scenes = Scenes(daemon, dice, backends[2], look)
    vip = scenes.vip
    daemon.api.post("/v1/reload")
    eventually(scenes.is_as_wanted, IN + SLACK, "the beginning")
    scenes.remove()  # which adds the third: the kernel lists it before the two that were there
    eventually(scenes.is_as_wanted, IN + SLACK, "all three")
    deck = list(islice(cycle(scenes.all().items()), KILLS))
    dice.shuffle(deck)
    with (
        talk_to(bench.outsider, vip, ONE) as first,
        talk_to(bench.outsider, vip, TWO) as second,
        Witness(bench, vip, PORT, ONE, TWO) as witness,
    ):
        scenes.reload()
        takes = min(1.5 * eventually(scenes.is_as_wanted, SLACK, "a reload") + 0.05, 0.5)
        for number, (scene, part) in enumerate(deck):
            scene()
            time.sleep(dice.uniform(0, takes * part))
            daemon.end(signal.SIGKILL)
            assert_readable(daemon.balancer.state_dir)
            daemon.start(wait=False)
            eventually(daemon.answers, IN + SLACK, "it answers")
            scenes.settle()
            what = f"kill {number}: as wanted after {scene.__name__}"
            eventually(scenes.is_as_wanted, IN + SLACK, what)
            assert witness.faults == [], what
            assert (first.ask(), second.ask()) == ("server-1", "server-2"), what
    assert witness.looks > KILLS
    assert witness.answers.keys() >= {"server-1", "server-2"}
