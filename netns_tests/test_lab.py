"""The lab itself: hosts are apart, cables connect, servers name themselves, everything is undone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipvs_lb.errors import LabError
from ipvs_lb.lab import namespaces
from ipvs_lb.lab.clients import Download, exchange, get, servers_seen
from ipvs_lb.lab.hosts import listening_ports
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.servers import Echo, start_nginx
from ipvs_lb.lab.walkthrough import SERVERS, Walkthrough

EXAMPLE = Path("config/example.yaml")
ORPHAN = """
import sys, time
from ipvs_lb.lab.network import Network
with Network() as network:
    host = network.host("orphan")
    print(host.namespace, host.start(["sleep", "600"]).pid, flush=True)
    time.sleep(600)
"""


def pair(network: Network) -> tuple[str, str]:
    one, other = network.host("one"), network.host("other")
    network.cable(one, "192.0.2.1/24", other, "192.0.2.2/24")
    return one.namespace, other.namespace


def test_two_hosts_on_a_cable_reach_each_other(network: Network) -> None:
    one, other = network.host("one"), network.host("other")
    network.cable(one, "192.0.2.1/24", other, "192.0.2.2/24")
    other.at_end(Echo(other, "udp", 7).close)
    assert exchange(one, "udp", "192.0.2.2", 7) == "other hello"


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_an_echo_names_its_host(network: Network, protocol: str) -> None:
    one, other = network.host("one"), network.host("other")
    network.cable(one, "192.0.2.1/24", other, "192.0.2.2/24")
    other.at_end(Echo(other, protocol, 7).close)
    source = ("192.0.2.1", 5555)
    assert exchange(one, protocol, "192.0.2.2", 7, "to you", source=source) == "other to you"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_an_echo_answers_on_ipv6_at_once(network: Network, protocol: str) -> None:
    one, other, lan = network.host("one"), network.host("other"), network.switch("lan")
    one.plug(lan, "2001:db8::1/64")
    other.plug(lan, "2001:db8::2/64")
    other.at_end(Echo(other, protocol, 7, "::").close)
    assert exchange(one, protocol, "2001:db8::2", 7) == "other hello"


def test_the_client_reaches_the_servers_through_the_gateway(lab: Walkthrough) -> None:
    for name, address in SERVERS.items():
        assert servers_seen(lab.client, f"http://{address}/", 1) == (name,)
        assert servers_seen(lab.client, f"http://{address}:443/", 1) == (name,)


def test_the_gateway_is_what_connects_them(lab: Walkthrough) -> None:
    lab.gateway.sysctl("net.ipv4.ip_forward", 0)
    assert lab.gateway.read_sysctl("net.ipv4.ip_forward") == "0"
    with pytest.raises(LabError, match=r"GET http://10\.0\.0\.4/"):
        get(lab.client, "http://10.0.0.4/", timeout=0.5)


def test_a_web_application_can_be_told_to_fail(lab: Walkthrough) -> None:
    url = "http://10.0.0.4/health"
    assert (get(lab.client, url).status, get(lab.client, url).server) == (200, "server-1")
    lab.apps[0].is_healthy = False
    assert get(lab.client, url).status == 503
    assert get(lab.client, "http://10.0.0.6/health").status == 200


def test_a_long_download_is_told_line_by_line_until_it_is_closed(lab: Walkthrough) -> None:
    with Download(lab.client, "10.0.0.4", timeout=2.0) as download:
        assert (download.server, download.next(), download.next()) == ("server-1",) * 3
        lab.servers[0].link_down("eth0")
        with pytest.raises(LabError, match="download from"):
            download.next()


def test_the_demo_fails_where_a_step_does_not_hold(tmp_path: Path) -> None:
    """By source hashing all requests of one client go to the same server."""
    config = tmp_path / "lb.yaml"
    config.write_text(EXAMPLE.read_text("utf-8").replace("scheduler: rr", "scheduler: sh"))
    words = [sys.executable, "-m", "ipvs_lb.lab.demo", str(config)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "failed: VIP, port 80: the answers are not in turn"


def test_a_pulled_cable_is_felt(lab: Walkthrough) -> None:
    lab.servers[1].link_down("eth0")
    with pytest.raises(LabError):
        get(lab.client, "http://10.0.0.6/", timeout=0.5)


def test_nginx_answers_like_the_web_application(network: Network) -> None:
    server = network.host("fast")
    start_nginx(server, 80, 443)
    assert get(server, "http://127.0.0.1:443/").text == "fast\n"
    assert get(server, "http://[::1]/health").text == "fast healthy\n"


def test_a_function_called_on_a_host_sees_only_that_host(network: Network) -> None:
    one, other = network.host("one"), network.host("other")
    with one.call(socket.create_server, ("127.0.0.1", 4711)):
        assert one.call(listening_ports) == {4711}
        assert other.call(listening_ports) == frozenset()


def test_what_a_function_raises_comes_through(network: Network) -> None:
    with pytest.raises(ZeroDivisionError):
        network.host("one").call(divmod, 1, 0)


def test_a_failing_program_is_an_error_with_what_it_said(network: Network) -> None:
    host = network.host("one")
    with pytest.raises(LabError, match="one: sh -c 'echo why >&2; exit 3': exit status 3: why"):
        host.run(["sh", "-c", "echo why >&2; exit 3"])
    assert host.run(["false"], check=False).returncode == 1
    with pytest.raises(LabError, match="still running after"):
        host.run(["sleep", "9"], timeout=0.2)
    with pytest.raises(LabError, match="No such file"):
        host.run(["no-such-program"])


def test_refusals_of_the_kernel_are_lab_errors(network: Network) -> None:
    host = network.host("one")
    with pytest.raises(LabError, match="there is no interface eth7"):
        host.address("eth7", "10.0.0.1/24")
    with pytest.raises(LabError, match=r"route default via 10\.9\.9\.9"):
        host.route("default", "10.9.9.9")
    with pytest.raises(LabError, match="no_such"):
        host.sysctl("net.ipv4.no_such", 1)


def test_a_program_that_does_not_come_up_is_told_at_once(network: Network) -> None:
    host = network.host("one")
    started = time.monotonic()
    with pytest.raises(LabError, match="ended with status 1"):
        host.wait_for_listener(80, host.start(["false"]))
    assert time.monotonic() - started < 5


def test_nothing_is_left_after_the_block_even_when_it_fails() -> None:
    names: list[str] = []
    programs: list[subprocess.Popen[bytes]] = []

    def fail_half_way() -> None:
        with Network() as network:
            names.extend(pair(network))
            programs.append(network.host("busy").start(["sleep", "600"]))
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert not any((namespaces.FOLDER / name).exists() for name in names)
    assert programs[0].poll() is not None


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        name, process = victim.stdout.readline().split()
        with Network():
            assert (namespaces.FOLDER / name).exists(), "its owner lives"
        victim.kill()
    with Network():
        assert not (namespaces.FOLDER / name).exists()
    assert is_gone(int(process))


def is_gone(process: int) -> bool:
    for _ in range(50):
        try:
            os.kill(process, 0)
            if "\nState:\tZ" in Path(f"/proc/{process}/status").read_text():
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    return False
