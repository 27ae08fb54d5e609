"""Whether the kernel we run on has IPVS for us, so that no guest is needed."""

from __future__ import annotations

import os
import subprocess

from ipvs_lb.errors import LabError
from ipvs_lb.lab.packages import find_program, need

# A namespace of our own has /proc/net/ip_vs when the module is there and we may make namespaces.
_PROBE = ("unshare", "--net", "test", "-e", "/proc/self/net/ip_vs")


def has_ipvs() -> bool:
    """Whether we are root, may make network namespaces, and they have IPVS."""
    if os.geteuid() != 0:
        return False
    modprobe = find_program("modprobe")
    if modprobe is not None:
        _succeeds((modprobe, "--quiet", "ip_vs"))
    return _succeeds(_PROBE)


def prepare() -> None:
    """Make this kernel ready. Raises LabError when it has no IPVS for us."""
    need("ip", "iproute2")
    if not has_ipvs():
        raise LabError(
            "this kernel has no IPVS for us", hint="sudo modprobe ip_vs, and run this as root"
        )


def _succeeds(command: tuple[str, ...]) -> bool:
    ran = subprocess.run(  # noqa: S603 - fixed programs and arguments
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
    )
    return ran.returncode == 0
