"""`ipvs-lb top` in a real terminal, which tmux is, against the real server of the API."""

import shutil
import subprocess
import sys
import time

import pytest

from tests.fake_control import FakeControl
from tests.running_api import Running

PROMPT = "shell-is-here"


class Terminal:
    """80x24 with a shell in it, on a tmux server of its own."""

    def __init__(self, folder):
        assert shutil.which("tmux"), "tmux is missing: apt-get install tmux"
        self._tmux = ["tmux", "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        shell = f"PS1='{PROMPT}$ ' exec sh"
        self._do("new-session", "-d", "-x", "80", "-y", "24", shell)
        self.wait(PROMPT)

    def _do(self, *arguments):
        done = subprocess.run(
            [*self._tmux, *arguments], check=False, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type(self, *keys):
        self._do("send-keys", *keys)

    def text(self):
        return self._do("capture-pane", "-p")

    def resize(self, width, height):
        self._do("resize-window", "-x", str(width), "-y", str(height))

    def state(self):
        """Whether the alternate screen is shown, and the cursor."""
        return self._do("display", "-p", "#{alternate_on} #{cursor_flag} #{pane_height}").split()

    def wait(self, *present, absent=()):
        """Until the screen shows this and not that: what it shows then."""
        end = time.monotonic() + 40
        while True:
            text = self.text()
            if all(one in text for one in present) and not any(one in text for one in absent):
                return text
            assert time.monotonic() < end, text
            time.sleep(0.05)

    def close(self):
        self._do("kill-server")


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_a_terminal_that_cannot_show_it_is_refused(terminal):
    for name, why in (("nonsense", "could not find terminal"), ("dumb", "cannot be moved")):
        terminal.type(f"TERM={name} {sys.executable} -m ipvs_lb top; echo code=$?", "Enter")
        terminal.wait(f"TERM={name}: ", why, "code=2", "ipvs-lb status")
        terminal.type("clear", "Enter")
        terminal.wait(PROMPT, absent=["code=2"])


def test_top_shows_narrows_drains_waits_for_the_daemon_and_gives_the_terminal_back(
    terminal, tmp_path
):
    control = FakeControl().everything_up()
    control.fail("10.0.0.6")
    path = tmp_path / "api.sock"
    top = f"{sys.executable} -m ipvs_lb top --socket {path} --every 0.2"
    with Running(control, path).up() as running:
        terminal.type(f"cd {tmp_path}; stty -g >before", "Enter", top, "Enter")
        text = terminal.wait("server-1", "mx-1", "+---", "?:help")
        assert "2 down" in text
        assert terminal.state()[:2] == ["1", "0"]

        terminal.type("/", "server-1", "Enter")
        terminal.wait("[filter: server-1]", absent=["server-2", "mx-1"])
        terminal.type("d")
        terminal.wait("drain web/server-1 of tcp/10.0.0.16:80", "y/n")
        assert running.do(lambda c: dict(c.overrides)) == {}
        terminal.type("y")
        terminal.wait("drain web/server-1: it is draining")
        (member,) = running.do(lambda c: list(c.overrides))
        assert str(member.key) == "tcp/10.0.0.16:80"
        assert str(member.server) == "10.0.0.4:80"

        terminal.resize(120, 30)
        terminal.type("Enter")
        terminal.wait("web/server-1 (tcp/10.0.0.16:80) is", "order:  drain", "passed")
        terminal.type("e", "y")
        terminal.wait("enable web/server-1: it is up")
        assert running.do(lambda c: dict(c.overrides)) == {}
        terminal.type("Escape")
    terminal.wait("!! NO ANSWER", "OLD", "no ipvs-lb daemon listens")
    with Running(control, path).up():
        terminal.wait("server-1", absent=["NO ANSWER"])
        terminal.type("q")
        terminal.wait(PROMPT, absent=["server-2"])
    assert terminal.state()[:2] == ["0", "1"]
    terminal.type("stty -g | cmp - before && echo 'the s'ame", "Enter")
    terminal.wait("the same")
