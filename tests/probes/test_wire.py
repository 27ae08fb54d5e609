"""The address a probe through the forwarding path comes from, on this machine's own routes."""

import socket
from ipaddress import ip_address

import pytest

from ipvs_lb.model.checks import HealthCheck, TcpCheck
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Target
from ipvs_lb.probes import execute
from ipvs_lb.probes.fast.route import route

pytestmark = pytest.mark.real_time

HERE, OTHER = ip_address("127.0.0.1"), ip_address("127.0.0.77")


@pytest.fixture
def listener():
    with socket.create_server((str(OTHER), 0)) as made:
        made.settimeout(5)
        yield made


def probe(listener, towards, **settings):
    target = Target(OTHER, Port(listener.getsockname()[1]))
    return Probe(HealthCheck(method=TcpCheck(), **settings), target, towards=towards)


def source_of(listener):
    accepted, (address, _) = listener.accept()
    accepted.close()
    return ip_address(address)


async def test_a_probe_comes_from_the_address_towards_its_server(listener):
    assert (await execute(probe(listener, HERE))).passed
    assert source_of(listener) == HERE


async def test_the_checks_own_source_comes_first(listener):
    source = ip_address("127.0.0.5")
    assert (await execute(probe(listener, HERE, source=source))).passed
    assert source_of(listener) == source


async def test_the_fast_way_takes_the_same_source(listener):
    ready = route(probe(listener, HERE))
    assert ready is not None
    opened = ready.open_socket()
    assert opened.getsockname()[0] == str(HERE)
    opened.close()


async def test_the_target_itself_is_no_source_to_ask_it_from(listener):
    """A server that has the VIP would answer itself."""
    target = Target(HERE, Port(listener.getsockname()[1]))
    result = await execute(Probe(HealthCheck(method=TcpCheck()), target, towards=HERE))
    assert result.error is ErrorClass.CHECK
    assert "127.0.0.1 itself: the check needs a source" in result.detail
