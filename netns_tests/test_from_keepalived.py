"""docs/how-to/from-keepalived-live.md: another program's table changes its keeper, and a connection through it lives on."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from ipvs_lb.lab.hosts import Host
from netns_tests.balance import ONE, TWO, Balancer, Bench, Conversation, hold_vip, new_vip
from netns_tests.daemon import Running, eventually

CONFIG = """\
virtual_server {vip} 80 {{
    delay_loop 2
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    real_server {one} 80 {{
        weight 1
        TCP_CHECK {{
            connect_timeout 5
        }}
    }}
    real_server {two} 80 {{
        weight 1
        TCP_CHECK {{
            connect_timeout 5
        }}
    }}
}}
"""


class Keepalived:
    """keepalived on the gateway, with its files in a folder of its own."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        files = {"-f": "keepalived.conf", "-p": "pid", "-r": "vrrp.pid", "-c": "checkers.pid"}
        places = [
            word for option, name in files.items() for word in (option, str(self._folder / name))
        ]
        command = ["keepalived", "-n", "-l", "-C", *places, *options]
        self._process = self._host.start(command, log=self._folder / "keepalived.log")

    def log(self) -> str:
        return (self._folder / "keepalived.log").read_text()

    def stop(self) -> None:
        """Politely, as systemd does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def kill(self) -> None:
        """All processes frozen, then killed, as the page says."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        processes = [self._process.pid, *map(int, children.split())]
        assert len(processes) > 1
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in processes:
                os.kill(pid, number)
        self._process.wait(30)


def test_a_connection_lives_on_while_keepalived_goes_and_ipvs_lb_comes(
    bench: Bench, balancer: Balancer, tmp_path: Path
) -> None:
    vip, gateway = new_vip(), bench.gateway
    hold_vip(gateway, vip)
    (tmp_path / "keepalived.conf").write_text(CONFIG.format(vip=vip, one=ONE, two=TWO))
    keepalived = Keepalived(gateway, tmp_path)
    rules = [
        f"-A -t {vip}:80 -s rr",
        f"-a -t {vip}:80 -r {ONE}:80 -m -w 1",
        f"-a -t {vip}:80 -r {TWO}:80 -m -w 1",
    ]
    keepalived.start("-I")
    try:
        eventually(lambda: balancer.rules() == rules, 30, "keepalived has made its service")
    except AssertionError as error:
        raise AssertionError(keepalived.log()) from error
    with Conversation(bench.outsider, vip) as talk:
        keepalived.stop()
        assert balancer.rules() == rules
        keepalived.start()
        eventually(
            lambda: "Activating" in keepalived.log().partition("Stopped")[2], 30, "it is back"
        )
        keepalived.kill()
        assert balancer.rules() == rules
        adopted = balancer.command("adopt")
        assert (adopted.exit_code, "Nothing to do" in adopted.stdout) == (0, True), adopted.output
        assert balancer.command("plan").exit_code == 0
        daemon = Running(bench, tmp_path)
        daemon.start()
        assert balancer.rules() == rules
        assert "plan.applied" not in daemon.events()
        assert talk.ask() == talk.server
        daemon.end()
    assert balancer.rules() == rules


def test_keepalived_that_is_stopped_without_i_leaves_nothing(
    bench: Bench, balancer: Balancer, tmp_path: Path
) -> None:
    """The page says so, which is why it goes another way."""
    vip = new_vip()
    (tmp_path / "keepalived.conf").write_text(CONFIG.format(vip=vip, one=ONE, two=TWO))
    keepalived = Keepalived(bench.gateway, tmp_path)
    keepalived.start()
    eventually(lambda: len(balancer.rules()) == 3, 30, "keepalived has made its service")
    keepalived.stop()
    assert balancer.rules() == []
