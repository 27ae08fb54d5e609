"""Executing health checks: one probe at a time, or many once."""

from ipvs_lb.probes.once import check_once, run_once
from ipvs_lb.probes.probe import probe, resolve, same_probe

__all__ = ["check_once", "probe", "resolve", "run_once", "same_probe"]
