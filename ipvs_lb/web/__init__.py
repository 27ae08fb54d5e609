"""The status page: what an operator looks at, live, on the API's own listeners.

Rules kept here:
1. The page's files are for everybody and tell nothing. What there is to see goes through the API's guard.
2. All services are told once, then those that have changed; counters and results only of what is in sight.
3. However many look on, the gateway is looked at once; nothing is worked out while nobody looks.
4. Names and messages come from configurations and from servers: they are sent as JSON and shown as text.
"""

from ipvs_lb.web.page import StatusPage

__all__ = ["StatusPage"]
