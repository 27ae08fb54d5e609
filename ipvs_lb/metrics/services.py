"""Series of virtual services, and of their servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ipvs_lb.api.states import State, state_of
from ipvs_lb.metrics import families as f
from ipvs_lb.metrics.counts import DOWN, UP
from ipvs_lb.metrics.reading import Reading
from ipvs_lb.metrics.text import Family
from ipvs_lb.model.counters import Counters
from ipvs_lb.policy import Ruling, ServiceDecision

Lines = Callable[[Reading], Iterator[str]]
_STATES = tuple(state for state in State if state is not State.FOREIGN)


def of_services(family: Family, value: Callable[[ServiceDecision], int]) -> Lines:
    """One series for each virtual service."""

    def lines(reading: Reading) -> Iterator[str]:
        for decision, service in reading.services:
            yield family.line(value(decision), *service)

    return lines


def servers(reading: Reading) -> Iterator[str]:
    """How many servers are in each state."""
    for decision, service in reading.services:
        found = Counter([state_of(ruling) for ruling in decision.rulings])
        yield "".join([f.SERVICE_SERVERS.line(found[each], *service, each) for each in _STATES])


def transitions(reading: Reading) -> Iterator[str]:
    """How often servers went and came back."""
    for _, service in reading.services:
        for way in (UP, DOWN):
            number = reading.counts.transitions[service[1], way]
            yield f.SERVICE_TRANSITIONS.line(number, *service, way)


def service_traffic(family: Family, value: Callable[[Counters], int]) -> Lines:
    """What the kernel counts of each virtual service that it has."""

    def lines(reading: Reading) -> Iterator[str]:
        for decision, service in reading.services:
            counted = (reading.statistics or {}).get(decision.key)
            if counted is not None:
                yield family.line(value(counted.traffic), *service)

    return lines


def of_servers(family: Family, value: Callable[[Ruling], int]) -> Lines:
    """One series for each real server of each virtual service; those of a service at once."""

    def lines(reading: Reading) -> Iterator[str]:
        for decision, service in reading.services:
            sets = reading.server_sets(decision, service)
            both = zip(sets, decision.rulings, strict=True)
            yield "".join([family.set_line(value(ruling), one) for one, ruling in both])

    return lines


def server_state(reading: Reading) -> Iterator[str]:
    """The state of each server, as a label."""
    name = f.SERVER_STATE.name
    for decision, service in reading.services:
        sets = reading.server_sets(decision, service)
        both = zip(sets, decision.rulings, strict=True)
        yield "".join(
            [f'{name}{one[:-1]},state="{state_of(ruling)}"}} 1\n' for one, ruling in both]
        )


def server_traffic(family: Family, value: Callable[[Counters], int]) -> Lines:
    """What the kernel counts of each server, of those that are in it."""

    def lines(reading: Reading) -> Iterator[str]:
        for decision, service in reading.services:
            counted = (reading.statistics or {}).get(decision.key)
            if counted is None:
                continue
            sets = reading.server_sets(decision, service)
            found = [counted.servers.get(ruling.member.server) for ruling in decision.rulings]
            yield "".join(
                [
                    family.set_line(value(one.traffic), labels)
                    for labels, one in zip(sets, found, strict=True)
                    if one is not None
                ]
            )

    return lines


def is_up(ruling: Ruling) -> int:
    """1 when a server takes new connections."""
    return int(state_of(ruling) is State.UP)
