"""What survives a restart: the state file and the lock around it."""

from ipvs_lb.store.lock import locked
from ipvs_lb.store.sqlite import SqliteStore

__all__ = ["SqliteStore", "locked"]
