"""Executing health checks: one probe at a time, or many once."""

from ipvs_lb.probes.once import check_once, run_once
from ipvs_lb.probes.probe import execute

__all__ = ["check_once", "execute", "run_once"]
