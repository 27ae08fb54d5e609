"""What of the probes needs a network of its own: ICMP, marks, source addresses, hosts that are not there."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.network import Network
from ipvs_lb.model.checks import HealthCheck, Method, PingCheck, SctpCheck, TcpCheck, UdpCheck
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result, Target
from ipvs_lb.probes import run_once

UNPRIVILEGED = 65534


@pytest.fixture
def server(network: Network) -> Host:
    return network.host("server")


@pytest.fixture
def gateway(network: Network, server: Host) -> Host:
    """10.9.0.1, 10.9.0.3 and fd09::1, on one cable with the server, which is 10.9.0.2 and fd09::2."""
    host = network.host("gateway")
    network.cable(host, "10.9.0.1/24", server, "10.9.0.2/24")
    for address in ("10.9.0.3/24", "fd09::1/64"):
        host.address("eth0", address)
    server.address("eth0", "fd09::2/64")
    return host


def probe(
    host: Host, method: Method, address: str, port: int = 0, *, timeout: float = 2.0, **settings
) -> Result:
    check = HealthCheck(method=method, timeout=timeout, **settings)
    target = Target(ip_address(address), Port(port))
    return host.call(run_once, {"only": Probe(check, target)})["only"]


@contextmanager
def listening(host: Host, address: str) -> Iterator[socket.socket]:
    with host.call(socket.create_server, (address, 0)) as listener:
        listener.settimeout(5)
        yield listener


@pytest.mark.parametrize("address", ["10.9.0.2", "fd09::2"])
@pytest.mark.parametrize("group_range", ["1 0", "0 2147483647"])
def test_a_host_that_is_there_answers_a_ping(gateway, address, group_range):
    gateway.sysctl("net.ipv4.ping_group_range", group_range)
    result = probe(gateway, PingCheck(), address, 80)
    assert result.passed, result
    assert result.timings.first_byte is not None


def test_many_pings_of_one_host_do_not_take_each_other_s_answers(gateway):
    target = Target(ip_address("10.9.0.2"))
    checks = {n: Probe(HealthCheck(method=PingCheck(), mark=n + 1), target) for n in range(50)}
    results = gateway.call(run_once, checks)
    assert all(result.passed for result in results.values())


def test_no_way_to_the_vip_is_this_machines_trouble_and_none_to_the_server_is_the_servers(gateway):
    here, nowhere = ip_address("10.9.0.2"), ip_address("192.0.2.1")
    for target, towards, error in (
        (nowhere, here, ErrorClass.LOCAL),
        (here, nowhere, ErrorClass.UNREACHABLE),
    ):
        asked = Probe(HealthCheck(method=TcpCheck()), Target(target, Port(80)), towards=towards)
        result = gateway.call(run_once, {"only": asked})["only"]
        assert (result.error, result.detail) == (error, "no route to 192.0.2.1")


def test_a_host_that_answers_no_ping_runs_into_the_timeout(gateway, server):
    server.sysctl("net.ipv4.icmp_echo_ignore_all", "1")
    result = probe(gateway, PingCheck(), "10.9.0.2", timeout=0.5)
    assert result.error is ErrorClass.TIMEOUT


@pytest.mark.parametrize("method", [PingCheck(), UdpCheck(payload=b"?"), TcpCheck()])
@pytest.mark.parametrize("address", ["10.9.0.99", "fd09::99"])
def test_a_host_that_is_not_there_is_unreachable(gateway, method, address):
    result = probe(gateway, method, address, 80, timeout=10.0)
    assert result.error is ErrorClass.UNREACHABLE, result


def test_a_network_without_a_route_is_unreachable(gateway):
    for method in (PingCheck(), UdpCheck(), TcpCheck()):
        assert probe(gateway, method, "192.0.2.1", 80).error is ErrorClass.UNREACHABLE


@pytest.mark.parametrize("address", ["10.9.0.2", "fd09::2"])
def test_a_closed_udp_port_of_another_host_is_refused(gateway, address):
    result = probe(gateway, UdpCheck(payload=b"?"), address, 9)
    assert result.error is ErrorClass.REFUSED


ADDRESS_PARAMETERS = {5, 6}  # RFC 9260, 3.3.2.1: further IPv4 and IPv6 addresses of whoever asks


@contextmanager
def associations(host: Host, address: str) -> Iterator[int]:
    """The port on which *host* accepts SCTP associations."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with host.call(socket.socket, family, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as listener:
        listener.bind((address, 0))
        listener.listen()
        yield listener.getsockname()[1]


def parameters(packet: bytes) -> set[int]:
    """The types of the parameters of an INIT, as it comes from a raw IPv4 socket."""
    chunk = packet[(packet[0] & 15) * 4 + 12 :]
    kind, _, length = struct.unpack_from("!BBH", chunk)
    assert kind == 1
    found, at = set(), 20
    while at < length:
        parameter, size = struct.unpack_from("!HH", chunk, at)
        found.add(parameter)
        at += size + -size % 4
    return found


def test_an_sctp_association_is_accepted_refused_or_unreachable(gateway, server):
    gateway.run(["modprobe", "sctp"])
    heard = server.call(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
    with heard, associations(server, "10.9.0.2") as port, associations(server, "fd09::2") as other:
        for address, open_port in (("10.9.0.2", port), ("fd09::2", other)):
            passed = probe(gateway, SctpCheck(), address, open_port)
            assert passed.passed, passed
            assert passed.timings.connect is not None
            refused = probe(gateway, SctpCheck(), address, 9)
            assert (refused.error, refused.detail) == (
                ErrorClass.REFUSED,
                "connecting: Connection refused",
            )
        assert not parameters(heard.recv(4096)) & ADDRESS_PARAMETERS
    for address in ("10.9.0.99", "192.0.2.1"):
        result = probe(gateway, SctpCheck(), address, 9, timeout=10)
        assert result.error is ErrorClass.UNREACHABLE, result


def test_a_probe_carries_its_mark(gateway, server):
    gateway.run(["ip", "rule", "add", "fwmark", "7", "unreachable"])
    with listening(server, "10.9.0.2") as listener:
        port = listener.getsockname()[1]
        for method in (TcpCheck(), PingCheck()):
            assert probe(gateway, method, "10.9.0.2", port).passed
            assert probe(gateway, method, "10.9.0.2", port, mark=8).passed
            marked = probe(gateway, method, "10.9.0.2", port, mark=7)
            assert marked.error is ErrorClass.UNREACHABLE


def test_a_probe_comes_from_its_source_address(gateway, server):
    with listening(server, "10.9.0.2") as listener:
        port = listener.getsockname()[1]
        result = probe(gateway, TcpCheck(), "10.9.0.2", port, source=ip_address("10.9.0.3"))
        assert result.passed
        connection, (peer, _) = listener.accept()
        connection.close()
    assert peer == "10.9.0.3"


def test_a_connection_with_itself_is_no_server(gateway):
    """With one ephemeral port, a connection to that port of our own meets nobody but itself."""
    gateway.sysctl("net.ipv4.ip_local_port_range", "45000 45000")

    def connect() -> bool:
        with socket.create_connection(("127.0.0.1", 45000)) as sock:
            return bool(sock.getsockname() == sock.getpeername())

    result = probe(gateway, TcpCheck(), "127.0.0.1", 45000)
    assert result.error is ErrorClass.REFUSED
    assert gateway.call(connect)


@pytest.mark.parametrize(
    ("method", "mark", "detail"),
    [
        (PingCheck(), 0, "not permitted to ping"),
        (TcpCheck(), 5, "Operation not permitted"),
    ],
)
def test_missing_rights_are_our_own_trouble(gateway, method, mark, detail):

    def unprivileged() -> Result:
        os.seteuid(UNPRIVILEGED)
        try:
            check = HealthCheck(method=method, mark=mark)
            target = Target(ip_address("10.9.0.2"), Port(80))
            return run_once({"only": Probe(check, target)})["only"]
        finally:
            os.seteuid(0)

    result = gateway.call(unprivileged)
    assert result.error is ErrorClass.LOCAL
    assert detail in result.detail
