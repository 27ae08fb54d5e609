"""`ipvs-lb ipvsadm`, and a link named `ipvsadm`: ipvsadm's command line on our netlink layer.

Scripts start it hundreds of times, so nothing is imported in here that the run at hand does not need.
"""
