"""The generations of the daemon: a configuration that is in force for the first time makes one."""

from __future__ import annotations

from dataclasses import replace

from ipvs_lb.engine import heap
from ipvs_lb.engine.aside import Aside
from ipvs_lb.engine.parts import Parts
from ipvs_lb.model.desired import Desired, GenerationSummary, Owned, owned_by
from ipvs_lb.policy import Datapath


class Ledger:
    """`newest` is the generation made last."""

    def __init__(self, parts: Parts, aside: Aside) -> None:
        self.newest: GenerationSummary | None = None
        self._parts = parts
        self._aside = aside
        self._recorded = self._is_fresh = False

    def open(self) -> None:
        """What is declared now makes a generation, at the next `record`."""
        self._recorded = False

    async def record(self, desired: Desired, claimed: Owned, datapath: Datapath) -> None:
        """*desired* is in force, *claimed* is on record as ours; what is there for probes only is in no generation.

        Raises StoreError.
        """
        store = self._parts.store
        if self._recorded:
            if claimed != owned_by(desired):
                await self._aside(store.claim, owned_by(desired))
            if self._is_fresh:  # the first results are in by now, and with them many new decisions
                self._is_fresh = False
                heap.settle()
            return
        now, services = self._parts.clock(), datapath.without(desired.table.services)
        declared = replace(desired, table=replace(desired.table, services=services))
        self.newest = await self._aside(
            lambda: store.commit(declared, origin=self._parts.origin, now=now)
        )
        if declared != desired:
            await self._aside(store.claim, owned_by(desired))
        self._recorded = self._is_fresh = True
        heap.settle()
