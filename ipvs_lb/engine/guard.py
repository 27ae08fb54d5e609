"""The firewall around the table's changes: restrictions come before services do, and go after them.

Rules kept here:
1. A service whose clients are restricted is out of the kernel while nothing of ours restricts them there, and no
   firewall can be set; what has another restriction keeps that and its service.
2. A VIP that is to be guarded comes and stays also while no firewall can be set, which is told: its services serve.
3. What others did to our rules is told, and always repaired: to leave it so would open what is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ipvs_lb import firewall
from ipvs_lb.engine.news import Story
from ipvs_lb.errors import HostError
from ipvs_lb.events import Level
from ipvs_lb.model.desired import Desired
from ipvs_lb.model.firewall import Firewall, in_order
from ipvs_lb.model.host import SetFirewall
from ipvs_lb.model.identity import IPAddress, ServiceKey

_SHOWN = 5  # services, or addresses, named in a sentence

Change = Callable[[Sequence[SetFirewall]], Awaitable[HostError | None]]
"""Carries out steps; what hindered that."""


class Guard:
    """`withheld` are the services that are kept out of the kernel; `is_news`: not the same as the time before."""

    def __init__(self, change: Change, tell: Callable[[Story], None]) -> None:
        self.withheld: frozenset[ServiceKey] = frozenset()
        self.is_news = False
        self._change = change
        self._tell = tell
        self._in_force: Firewall | None = None
        self._last: tuple[SetFirewall, ...] = ()

    async def restrict(
        self, desired: Desired, present: Firewall, *, settled: bool
    ) -> tuple[Desired, HostError | None]:
        """Set what has to be in force before the table is *desired*; that without what must wait, and why it must.

        *present* is in force now; *settled*: it should be what was set last.
        """
        first, self._last = firewall.steps(present, desired.firewall)
        if settled and self._in_force is not None and self._in_force != present:
            shown = "; ".join(map(str, (*first, *self._last)))
            self._tell(Story("drift.repaired", Level.WARNING, {"commands": 1, "first": shown}))
        trouble = await self._change(first)
        self._in_force = first[0].firewall if first and not trouble else present
        before = self.withheld
        self.withheld = (
            firewall.unrestricted(present, desired.firewall) if trouble else frozenset()
        ) & desired.table.services.keys()
        self.is_news = self.withheld != before
        if trouble is None:
            return desired, None
        self._last = ()
        exposed = desired.firewall.guarded - present.guarded
        return self._without_withheld(desired), self._explained(trouble, exposed)

    async def release(self) -> HostError | None:
        """Drop the restrictions of services that are gone from the table."""
        trouble = await self._change(self._last)
        if self._last and not trouble:
            self._in_force = self._last[0].firewall
        return trouble

    def _without_withheld(self, desired: Desired) -> Desired:
        present = desired.table.services
        services = {key: value for key, value in present.items() if key not in self.withheld}
        return replace(desired, table=replace(desired.table, services=services))

    def _explained(self, trouble: HostError, exposed: frozenset[IPAddress]) -> HostError:
        consequences = [str(trouble)]
        if self.withheld:
            keys = sorted(self.withheld, key=lambda key: key.order())
            consequences.append(f"kept out, since anybody would get in: {_some(keys)}")
        if exposed:
            vips = _some(in_order(exposed))
            consequences.append(
                f"every port of this gateway answers, not services alone, on {vips}"
            )
        return HostError("; ".join(consequences), hint=trouble.hint)


def _some(names: Sequence[object]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more
