"""The edge to the gateway itself: VIP addresses, announcements, source NAT, sysctls."""

from ipvs_lb.addresses.announce import Repetition
from ipvs_lb.addresses.host import LinuxHost

__all__ = ["LinuxHost", "Repetition"]
