"""The kernel's IPVS over generic netlink: a pure codec, a thin transport and the adapter on top of both."""

from ipvs_lb.netlink.kernel import NetlinkKernel, open_kernel

__all__ = ["NetlinkKernel", "open_kernel"]
