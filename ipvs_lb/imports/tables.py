"""A kernel table as a draft: one service for each virtual service, no checks."""

from __future__ import annotations

from collections.abc import Callable

from ipvs_lb.config.draft import Answers, Draft, DraftServer, DraftService
from ipvs_lb.imports.drafting import port_of
from ipvs_lb.model.identity import AddressKey, ServiceKey
from ipvs_lb.model.table import Table, VirtualService


def drafted(table: Table, origin: Callable[[ServiceKey], str]) -> Draft:
    """The draft that means *table*; *origin* says where a service was read."""
    return Draft(
        services=tuple(_service(*item, origin(item[0])) for item in table.services.items()),
        timeouts=table.timeouts,
        sync_daemons=tuple((table.daemons or {}).values()),
    )


def _service(key: ServiceKey, virtual: VirtualService, origin: str) -> DraftService:
    own = key.port if isinstance(key, AddressKey) else 0
    servers = tuple(
        DraftServer(
            address=place.address,
            port=None if place.port == own else port_of(place.port),
            weight=server.weight,
            forwarding=server.forwarding,
            tunnel=server.tunnel,
            upper_threshold=server.upper_threshold,
            lower_threshold=server.lower_threshold,
        )
        for place, server in virtual.servers.items()
    )
    return DraftService(
        name=str(key).replace("/", "-"),
        answers=_answers(key),
        settings=virtual.service,
        servers=servers,
        origin=origin,
        remarks=(f"{origin}: {key}",),
    )


def _answers(key: ServiceKey) -> Answers:
    if isinstance(key, AddressKey):
        return Answers(vips=(key.address,), ports=((key.port, key.port),), protocol=key.protocol)
    return Answers(fwmark=key.mark, family=key.family)
