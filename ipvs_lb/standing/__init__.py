"""Labs that stay up: a process that holds the network, and what others ask of it."""
