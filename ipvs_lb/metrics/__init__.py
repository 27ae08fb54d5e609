"""What Prometheus reads of a running gateway: a face over the snapshot.

Rules kept here:
1. Every family there can be stands in `families.FAMILIES`; the reference, the alerts and the dashboard go by it.
2. The kernel's table has the names and labels of node_exporter's ipvs collector, so that what was made for that works.
3. Labels are bounded by the configuration and by fixed lists, never by what clients or servers send.
4. A page is made in small pieces and never kept as a whole; a gateway that cannot be asked has fewer series, no error.
"""
