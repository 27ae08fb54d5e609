"""A kernel-level IPVS load-balancer manager.

from ipvs_lb import load, open_gateway

with open_gateway() as gateway:
    change = gateway.plan(load("lb.yaml"))
    for command in change.commands:
        print(command)
    gateway.apply(change)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipvs_lb.config import load as load
    from ipvs_lb.config import loads as loads
    from ipvs_lb.errors import LBError as LBError
    from ipvs_lb.wiring import Gateway as Gateway
    from ipvs_lb.wiring import open_gateway as open_gateway

__version__ = "0.1.0"

__all__ = ["Gateway", "LBError", "load", "loads", "open_gateway"]

_HOMES = {
    "Gateway": "ipvs_lb.wiring",
    "LBError": "ipvs_lb.errors",
    "load": "ipvs_lb.config",
    "loads": "ipvs_lb.config",
    "open_gateway": "ipvs_lb.wiring",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: `ipvs-lb --help` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
