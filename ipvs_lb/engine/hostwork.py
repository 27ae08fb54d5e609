"""What is done on the gateway besides the kernel's table, and what of it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from ipvs_lb.engine.aside import Aside
from ipvs_lb.engine.news import Story
from ipvs_lb.errors import HostError
from ipvs_lb.events import Fact, Level
from ipvs_lb.model.desired import PlacedVip, SysctlNeed
from ipvs_lb.model.host import AddAddress, HostCommand, Vip
from ipvs_lb.model.identity import AddressKey, IPAddress
from ipvs_lb.ports import Host

_SHOWN = 5  # troubles, or services, named in an event


class HostWork:
    """Works on *host* beside the event loop; *announced* hears of interfaces on which VIPs were announced."""

    def __init__(
        self,
        host: Host,
        aside: Aside,
        tell: Callable[[Story], None],
        announced: Callable[[Iterable[str]], None],
    ) -> None:
        self._host = host
        self._aside = aside
        self._tell = tell
        self._announced = announced
        self._missing: tuple[SysctlNeed, ...] = ()

    async def change(
        self, steps: Sequence[HostCommand], homeless: Sequence[Vip] = ()
    ) -> HostError | None:
        """Carry out *steps*; what of them, or which VIP, had to be left."""
        left = [
            f"VIP {vip.address} is nowhere: there is no interface {vip.interface}"
            for vip in homeless
        ]
        hint = "ip link" if left else None
        for step in steps:
            try:
                await self._aside(self._host.execute, step)
            except HostError as error:
                left.append(str(error))
                hint = hint or error.hint
                continue
            self._tell(Story("host.changed", Level.INFO, {"what": str(step)}))
        added = [step for step in steps if isinstance(step, AddAddress) and step.announce]
        self._announced({step.place.interface for step in added})
        return HostError("; ".join(left[:_SHOWN]), hint=hint) if left else None

    async def announce(self, vips: Iterable[PlacedVip], interfaces: Set[str]) -> None:
        """Announce those of *vips* again that are on *interfaces*. Raises HostError."""
        places = [vip.place for vip in vips if vip.announce and vip.place.interface in interfaces]
        if places:
            await self._aside(self._host.announce, places)

    async def forget_clients(self, services: Mapping[AddressKey, Set[IPAddress]]) -> None:
        """Clients that asked before their service was there find it from now on."""
        if not services:
            return
        shown = ", ".join(map(str, list(services)[:_SHOWN]))
        try:
            forgotten = await self._aside(self._host.forget_clients, services)
        except HostError as error:
            facts: dict[str, Fact] = {"services": shown, "reason": str(error), "hint": error.hint}
            self._tell(Story("clients.kept", Level.WARNING, facts))
            return
        if forgotten:
            self._tell(
                Story("clients.forgotten", Level.INFO, {"services": shown, "clients": forgotten})
            )

    def tell_missing(self, missing: tuple[SysctlNeed, ...]) -> None:
        """Each sysctl that only the operator can set is told once, and again when it was right in between."""
        for need in missing:
            if need not in self._missing:
                facts = {"sysctl": f"{need.name}={need.value}", "reason": need.reason}
                self._tell(Story("sysctl.missing", Level.WARNING, facts))
        self._missing = missing
