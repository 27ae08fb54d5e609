"""The store in memory, which notes every claim: a test can see what was written down and when."""

from __future__ import annotations

from ipvs_lb.memory import store
from ipvs_lb.model.desired import Owned


class MemoryStore(store.MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.claims: list[Owned] = []

    def claim(self, owned: Owned) -> None:
        self.claims.append(owned)
        super().claim(owned)
