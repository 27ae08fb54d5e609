"""The requests and answers of the compatible API: load balancing, the slices of network and identity around it."""
