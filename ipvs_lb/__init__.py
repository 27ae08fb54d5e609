"""A kernel-level IPVS load-balancer manager."""

__version__ = "0.1.0"
