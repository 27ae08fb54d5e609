"""Telling others what happens: receivers over HTTP and programs, beside the event loop and never in its way.

Delivery is at least once while the daemon lives, and not at all once it has crashed: nothing that waits here is
written down.
"""

from ipvs_lb.hooks.dispatcher import Dispatcher

__all__ = ["Dispatcher"]
