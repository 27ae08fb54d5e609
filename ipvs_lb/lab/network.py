"""A network of hosts that are namespaces: cables, switches, addresses, routes, programs.

    with Network() as network:
        client, gateway = network.host("client"), network.host("gateway")
        network.cable(client, "192.0.2.1/24", gateway, "192.0.2.2/24")
        client.run(["ping", "-c1", "192.0.2.2"])

Everything is undone when the block is left, in reverse order; what a killed run left behind is removed by the
next one.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from ipvs_lb.lab import namespaces
from ipvs_lb.lab.hosts import Host, Switch
from ipvs_lb.lab.links import add_bridge, add_veth

__all__ = ["Host", "Network", "Switch"]


class Network:
    """Hosts and what connects them, for as long as the `with` block lasts."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        namespaces.remove_leftovers()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def host(self, name: str) -> Host:
        """A new host: loopback up, no other interface, no reverse-path filter."""
        host = Host(name, self._namespace(name), self._undo)
        host.link_up("lo")
        host.sysctl("net.ipv4.conf.all.rp_filter", 0)
        host.sysctl("net.ipv4.conf.default.rp_filter", 0)
        host.sysctl("net.ipv6.conf.default.accept_dad", 0)
        return host

    def router(self, name: str) -> Host:
        """A new host that forwards IPv4 and IPv6 and sends no redirects."""
        host = self.host(name)
        host.sysctl("net.ipv4.conf.all.send_redirects", 0)
        host.sysctl("net.ipv4.conf.default.send_redirects", 0)
        host.sysctl("net.ipv4.ip_forward", 1)
        host.sysctl("net.ipv6.conf.all.forwarding", 1)
        return host

    def switch(self, name: str) -> Switch:
        """A new switch, to plug hosts into."""
        switch = Switch(name, self._namespace(name))
        namespaces.call_inside(switch.namespace, add_bridge, switch.bridge)
        return switch

    def cable(self, one: Host, one_address: str, other: Host, other_address: str) -> None:
        """A cable between a new interface of each, with an address like `192.0.2.1/24` at each end."""
        one_end, other_end = one.next_interface(), other.next_interface()
        namespaces.call_inside(one.namespace, add_veth, one_end, other.namespace, other_end)
        one.configure(one_end, one_address)
        other.configure(other_end, other_address)

    def _namespace(self, name: str) -> str:
        namespace = namespaces.create(name)
        self._undo.callback(namespaces.remove, namespace)
        return namespace
