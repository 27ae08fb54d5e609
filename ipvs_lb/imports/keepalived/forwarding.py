"""lvs_method and its kin: NAT, DR, or TUN with its encapsulation."""

from __future__ import annotations

from dataclasses import dataclass

from ipvs_lb.config import values
from ipvs_lb.model.identity import NO_PORT
from ipvs_lb.model.settings import Forwarding, Tunnel, TunnelChecksum, TunnelType

_METHODS = {"NAT": Forwarding.MASQ, "DR": Forwarding.DR, "TUN": Forwarding.TUNNEL}
_CHECKSUMS = {
    "nocsum": TunnelChecksum.NONE,
    "csum": TunnelChecksum.CSUM,
    "remcsum": TunnelChecksum.REMCSUM,
}


@dataclass(frozen=True, slots=True)
class Way:
    """A forwarding method, with the encapsulation of a tunnel."""

    forwarding: Forwarding = Forwarding.MASQ
    tunnel: Tunnel | None = None


def way(words: list[str]) -> Way:
    """What the words after lvs_method mean. Raises ValueError."""
    method = _METHODS.get(words[0] if words else "")
    if method is None:
        raise ValueError("expected NAT, DR or TUN")
    if method is not Forwarding.TUNNEL:
        return Way(method)
    return Way(method, _tunnel(words[1:]))


def _tunnel(words: list[str]) -> Tunnel:
    kind, port, checksum = TunnelType.IPIP, NO_PORT, TunnelChecksum.NONE
    rest = iter(words)
    for word in rest:
        if word == "type":
            kind = values.choice("tunnel type", values.words(TunnelType))(next(rest, ""))
        elif word == "port":
            port = values.port(next(rest, ""))
        else:
            checksum = values.choice("checksum", _CHECKSUMS)(word)
    if kind is TunnelType.GUE and not port:
        raise ValueError("gue needs a port")
    return Tunnel(kind, port if kind is TunnelType.GUE else NO_PORT, checksum)
