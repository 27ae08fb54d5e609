"""Programs that measure ipvs_lb beside the tools it is compared with; see docs/benchmarks.md."""
