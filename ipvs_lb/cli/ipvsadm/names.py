"""Names as this machine knows them: /etc/hosts, /etc/services, DNS."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from ipvs_lb.model.identity import IPAddress, IPProtocol


class SystemNames:
    """What the C library finds."""

    def address(self, host: str) -> IPv4Address | None:
        """The first IPv4 address of *host*."""
        try:
            return IPv4Address(socket.gethostbyname(host))
        except (OSError, ValueError):
            return None

    def port(self, service: str, protocol: IPProtocol) -> int | None:
        """The port that *service* has."""
        try:
            return socket.getservbyname(service, str(protocol))
        except (OSError, ValueError):
            return None

    def host(self, address: IPAddress) -> str | None:
        """The host that has *address*."""
        try:
            return socket.gethostbyaddr(str(address))[0]
        except (OSError, ValueError):
            return None

    def service(self, port: int, protocol: IPProtocol) -> str | None:
        """The service on *port*."""
        try:
            return socket.getservbyport(port, str(protocol))
        except OSError:
            return None
