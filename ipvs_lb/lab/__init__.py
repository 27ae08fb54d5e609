"""Networks of namespaces on a kernel with IPVS: for the demo, for this project's tests and for yours."""
