"""The long-running process around the balancer: signals, logs, the service manager, the API."""
