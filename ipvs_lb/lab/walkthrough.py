"""The walkthrough's network: a client outside, a gateway, two web servers behind it.

client 203.0.113.2 ── 203.0.113.1 gateway 10.0.0.1 ──┬── server-1 10.0.0.4
                      floating IP         VIP        └── server-2 10.0.0.6
                      203.0.113.16        10.0.0.16
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipvs_lb.lab.hosts import Host, Switch
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.webapp import PORTS, Listener, WebApp

VIP = "10.0.0.16"
FLOATING_IP = "203.0.113.16"
CLIENT = "203.0.113.2"
GATEWAY_OUTSIDE = "203.0.113.1"
GATEWAY_INSIDE = "10.0.0.1"
SERVERS: Mapping[str, str] = {"server-1": "10.0.0.4", "server-2": "10.0.0.6"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Walkthrough:
    """The hosts of the walkthrough and the web application on each server, with its two listeners."""

    network: Network
    lan: Switch
    client: Host
    gateway: Host
    servers: tuple[Host, ...]
    apps: tuple[WebApp, ...]
    listeners: tuple[tuple[Listener, ...], ...]


def build(network: Network) -> Walkthrough:
    """Cable and address the walkthrough's hosts; the web application listens on both ports of each server."""
    client, gateway, lan = network.host("client"), network.router("gateway"), network.switch("lan")
    network.cable(client, f"{CLIENT}/24", gateway, f"{GATEWAY_OUTSIDE}/24")
    client.route("default", GATEWAY_OUTSIDE)
    gateway.plug(lan, f"{GATEWAY_INSIDE}/24")
    servers = tuple(_server(network, lan, name, address) for name, address in SERVERS.items())
    apps = tuple(WebApp(server.name) for server in servers)
    return Walkthrough(
        network=network,
        lan=lan,
        client=client,
        gateway=gateway,
        servers=servers,
        apps=apps,
        listeners=tuple(map(serve, apps, servers)),
    )


def serve(app: WebApp, server: Host) -> tuple[Listener, ...]:
    """A mock web application on both ports of a host, until the network ends."""
    listeners = tuple(Listener(app, server, port) for port in PORTS)
    for listener in listeners:
        server.at_end(listener.close)
    return listeners


def _server(network: Network, lan: Switch, name: str, address: str) -> Host:
    server = network.host(name)
    server.plug(lan, f"{address}/24")
    server.route("default", GATEWAY_INSIDE)
    return server
