"""One browser for all tests of the page, and gateways to look at with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.identity import Port
from tests.daemon_world import TCP, World, server, web
from tests.fake_control import FakeControl
from tests.probes.servers import free_port
from tests.running_api import Running
from tests.running_daemon import TOKEN, VIEWER, Gateway, daemon
from tests.web.browser import Browser, browser

Serve = Callable[[FakeControl], tuple[str, Running]]


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    with browser() as made:
        yield made


@pytest.fixture
def page(window: Browser) -> Iterator[Browser]:
    """The browser; the page must not have complained, nor asked anybody else."""
    window.look()
    window.complaints()
    yield window
    asked = window.run(
        "return performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(name => new URL(name).origin !== location.origin)"
    )
    window.driver.get("about:blank")
    assert asked == []
    # 401 and the end of a gateway are told by the browser itself, whatever the page makes of them
    told = [one for one in window.complaints() if "Failed to load resource" not in one]
    assert told == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves a control on a TCP port until the test ends."""
    with ExitStack() as stack:

        def up(control: FakeControl) -> tuple[str, Running]:
            port = free_port()
            listener = ApiListener(
                address=ip_address("127.0.0.1"),
                port=Port(port),
                token=TOKEN,
                read_only_token=VIEWER,
            )
            running = stack.enter_context(Running(control, tmp_path / "api.sock").up(listener))
            return f"http://127.0.0.1:{port}/", running

        yield up


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A real engine with the service `web` of the servers s4, s6 and s8."""
    quick = replace(TCP, interval=0.5, fast_interval=0.5, timeout=0.4, rise=1, fall=1)
    servers = [server(last, checks=(quick,)) for last in (4, 6, 8)]
    with daemon(tmp_path, World(web(servers=servers))) as made:
        yield made
