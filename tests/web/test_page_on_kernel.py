"""The status page of a daemon on a real kernel: a lab in a guest kernel, its page in a browser outside.

The guest has no network to the outside, so each connection of the browser goes through a program on the lab's gateway.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.web.browser import Browser

pytestmark = pytest.mark.real_time
PROGRAM = [sys.executable, "-m", "ipvs_lb", "lab"]
NAME = f"status-page-{os.getpid()}"
CONFIG = """\
version: 1
services:
  - name: web
    vip: 10.0.0.16
    port: 80
    scheduler: rr
    health_check: {type: http, path: /health, interval: 1s, timeout: 900ms, fall: 2, rise: 2}
    servers:
      - {name: web-1, address: 10.0.0.4}
      - {name: web-2, address: 10.0.0.6, weight: 3}
"""
RELAY = """\
import os, socket, threading
api = socket.socket(socket.AF_UNIX)
api.connect(os.environ["IPVS_LB_SOCKET"])
def ask():
    while data := os.read(0, 65536):
        api.sendall(data)
    api.shutdown(socket.SHUT_WR)
threading.Thread(target=ask, daemon=True).start()
while data := api.recv(65536):
    os.write(1, data)
"""


def lab(*words: str) -> str:
    """What `ipvs-lb lab` says to *words*."""
    done = subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def on_gateway(*words: str) -> str:
    return lab("exec", "--name", NAME, "gateway", *words)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A lab that is up, and where its daemon's page is to be had."""
    (tmp_path / "lb.yaml").write_text(CONFIG)
    lab("up", "--name", NAME, "-c", str(tmp_path / "lb.yaml"))
    try:
        with relayed() as port:
            yield f"http://127.0.0.1:{port}/ui"
    finally:
        lab("down", "--name", NAME)


@contextmanager
def relayed() -> Iterator[int]:
    """A port of this machine that is the daemon's socket in the guest."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def accept(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=relay, args=(connection,), daemon=True).start()


def relay(connection: socket.socket) -> None:
    words = [*PROGRAM, "exec", "--name", NAME, "gateway", "python3", "-c", RELAY]
    with connection, subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as far:
        assert far.stdin is not None
        assert far.stdout is not None
        threading.Thread(target=copy_up, args=(connection, far.stdin), daemon=True).start()
        with suppress(OSError):
            while data := os.read(far.stdout.fileno(), 65536):
                connection.sendall(data)
        far.terminate()


def copy_up(connection: socket.socket, stdin) -> None:
    with suppress(OSError), stdin:
        while data := connection.recv(65536):
            stdin.write(data)
            stdin.flush()


def row(name: str) -> str:
    return f".row.server:has(.name[title*='{name}'])"


@pytest.mark.timeout(180)
def test_what_the_kernel_has_is_on_the_page_as_it_changes_and_an_order_of_the_page_is_in_the_kernel(
    window: Browser, address: str
) -> None:
    lab("do", "--name", NAME, "expect web-1 in within 20s", "expect web-2 in within 20s")
    assert lab("exec", "--name", NAME, "client", "curl", "-s", "http://10.0.0.16/").strip() in {
        "web-1",
        "web-2",
    }
    window.open(address)
    window.sees("2 of 2 up", ".row.service")
    window.sees("3", f"{row('web-2')} .weight")
    lab("do", "--name", NAME, "stop web-1", "expect web-1 out within 20s")
    window.sees("down", row("web-1"))
    window.sees("Connection refused", row("web-1"))
    lab("do", "--name", NAME, "start web-1", "expect web-1 in within 20s")
    window.sees("2 of 2 up", ".row.service")
    window.find(f"{row('web-2')} .orders button").click()
    window.find("#order-reason").send_keys("a new disk")
    window.find("#order-yes").click()
    window.sees("a new disk", row("web-2"))
    rules = on_gateway("ipvsadm", "-Sn")
    assert "10.0.0.6:80 -m -w 0" in rules or "10.0.0.6" not in rules
    assert window.complaints() == []
