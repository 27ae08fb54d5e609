"""Kernel, host and store in memory: they keep the laws of `ipvs_lb.ports`, and nothing outlives the process."""
