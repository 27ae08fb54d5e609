"""What we encode, pyroute2 decodes to the same values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.generic.ipvs import ipvsmsg

from ipvs_lb.commands import AddServer, AddService, Command, DeleteServer, DeleteService
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import VirtualService
from ipvs_lb.netlink.messages import frame
from ipvs_lb.netlink.requests import Encoder
from tests import pyroute2_view, strategies

with_servers = strategies.service_keys().flatmap(
    lambda key: st.tuples(st.just(key), strategies.servers_of(key))
)


def decoded(command: Command) -> Any:
    message = ipvsmsg(frame(28, 0, 1, Encoder().encode(command)))
    message.decode()
    return message


@given(strategies.virtual_services(most_servers=0))
def test_pyroute2_reads_our_services(each: tuple[ServiceKey, VirtualService]) -> None:
    key, virtual = each
    message = decoded(AddService(key, virtual.service))
    nest = message.get_attr("IPVS_CMD_ATTR_SERVICE")
    assert message["cmd"] == 1
    assert (pyroute2_view.service_key(nest), pyroute2_view.service(nest)) == (key, virtual.service)


@given(with_servers)
def test_pyroute2_reads_our_servers(each: tuple[ServiceKey, tuple[ServerKey, Server]]) -> None:
    key, (server_key, server) = each
    message = decoded(AddServer(key, server_key, server))
    nest = message.get_attr("IPVS_CMD_ATTR_DEST")
    assert message["cmd"] == 5
    assert pyroute2_view.service_key(message.get_attr("IPVS_CMD_ATTR_SERVICE")) == key
    assert (pyroute2_view.server_key(nest), pyroute2_view.server(nest)) == (server_key, server)


@given(with_servers)
def test_pyroute2_reads_whom_we_delete(each: tuple[ServiceKey, tuple[ServerKey, Server]]) -> None:
    key, (server_key, _) = each
    service, server = decoded(DeleteService(key)), decoded(DeleteServer(key, server_key))
    assert (service["cmd"], server["cmd"]) == (3, 7)
    assert pyroute2_view.service_key(service.get_attr("IPVS_CMD_ATTR_SERVICE")) == key
    assert pyroute2_view.server_key(server.get_attr("IPVS_CMD_ATTR_DEST")) == server_key
