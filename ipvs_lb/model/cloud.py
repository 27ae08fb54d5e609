"""What the OpenStack-compatible API is told of the gateway's surroundings: networks, subnets, who may ask.

OpenStack's words are kept here: these values exist for that API alone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from uuid import UUID, uuid5

from ipvs_lb.model.api import ApiListener, Face
from ipvs_lb.model.host import SourceNat
from ipvs_lb.model.identity import IPAddress

IPNetwork = IPv4Network | IPv6Network
_NAMES = UUID("9f8d3a52-7c1e-4b3c-9f5e-0c6d5a1b2e47")


def identifier_of(*names: str) -> str:
    """The UUID of something that the configuration names; the same on every start."""
    return str(uuid5(_NAMES, "/".join(names)))


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses that may be given out, from the first to the last."""

    first: IPAddress
    last: IPAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """Addresses of a network. `interface`: where its VIPs go, None: the one whose subnet contains them."""

    id: str
    name: str
    network_id: str
    cidr: IPNetwork
    gateway: IPAddress | None = None
    pools: tuple[AddressRange, ...] = ()
    interface: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network that load balancers have addresses in; floating IPs come from an `external` one."""

    id: str
    name: str
    subnets: tuple[Subnet, ...]
    external: bool = False


class Identification(enum.StrEnum):
    """How clients say who they are: with a name and password (basic or for a token), or not at all."""

    PASSWORD = "password"  # noqa: S105  # a word of the configuration
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class OctaviaListener(ApiListener):
    """The port or socket of the compatible API: who asks is found out behind it, by names and passwords."""

    face: Face = Face.OCTAVIA
    identification: Identification = Identification.PASSWORD

    def flaws(self) -> Iterator[tuple[str, str]]:
        """What does not go together: passwords go over TLS, and without them only this machine may ask.

        Who may open a unix socket is up to its owner and mode.
        """
        if self.path is not None:
            return
        if self.key is not None and self.certificate is None:
            yield "key", "a key goes with a certificate, which is missing"
        if self.address.is_loopback:
            return
        if self.identification is Identification.NONE:
            yield "auth", "everybody may do everything: that is for a loopback address only"
        elif self.certificate is None:
            yield (
                "certificate",
                "required key is missing: without TLS passwords go to a loopback address only",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OctaviaSettings:
    """Where the Octavia-compatible API listens, and for whom.

    Files are paths: `users` has names, password hashes and roles, `token_file` a token that may do everything.
    `limits`: how many objects of a kind a project may have. Seconds: `token_lifetime`. `guard_vips`: nothing but
    listeners answers on the addresses of load balancers. `file_services`: what the configuration's files declare is
    shown as well.
    """

    listener: OctaviaListener
    users: str | None = None
    token_file: str | None = None
    project_id: str
    project_name: str
    region: str = "RegionOne"
    token_lifetime: float = 3600.0
    source_nat: SourceNat = SourceNat.OFF
    limits: Mapping[str, int] = field(default_factory=dict)
    networks: tuple[Network, ...] = ()
    guard_vips: bool = False
    file_services: bool = True

    @property
    def identification(self) -> Identification:
        """How clients say who they are."""
        return self.listener.identification
