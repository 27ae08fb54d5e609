"""TCP and plain HTTP probes as callbacks on non-blocking sockets: for the methods that come by the ten thousand.

What they find is exactly what `ipvs_lb.probes.probe` finds; only what it costs differs.
"""
