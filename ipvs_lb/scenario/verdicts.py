"""Whether what was expected is so, and if not, what is instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from ipvs_lb.amounts import plural
from ipvs_lb.lab.traffic import Request
from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.table import Table
from ipvs_lb.policy import members
from ipvs_lb.scenario.steps import Demand, Errors, Latency, Only, Place, Share, Who

Names = Mapping[IPAddress, str]
"""What the lab calls the servers."""


def against_place(place: Place, config: Config, table: Table) -> str:
    """What speaks against *place* in *table*, *config* being in force; empty when it is so."""
    rows = dict(_rows(place.who, config, table))
    if not rows:
        return "" if not place.is_in else "it is not in the configuration that is in force"
    wrong = [
        f"{_found(weight)} in {key}" for key, weight in rows.items() if not _fits(place, weight)
    ]
    return ", ".join(wrong)


def _rows(who: Who, config: Config, table: Table) -> Iterator[tuple[str, int | None]]:
    """The server's weight in each of its virtual services; None where it is not there."""
    for declared in config.services:
        if declared.name not in who.services:
            continue
        for key, own, server in members(declared):
            if server.address == who.address:
                virtual = table.services.get(key)
                found = None if virtual is None else virtual.servers.get(own)
                yield str(key), None if found is None else found.weight


def _fits(place: Place, weight: int | None) -> bool:
    if place.weight is not None:
        return weight == place.weight
    return bool(weight) is place.is_in


def _found(weight: int | None) -> str:
    return "not there" if weight is None else f"weight {weight}"


def against_demand(demand: Demand, requests: Sequence[Request], names: Names) -> str:
    """What speaks against *demand* in *requests*, which are all over; empty when it is so."""
    answered = [request for request in requests if request.server]
    if not requests:
        return "no request was sent"
    match demand:
        case Errors(most=most):
            failed = [request for request in requests if request.error]
            return _too_many(failed, requests) if len(failed) > most * len(requests) else ""
        case _ if not answered:
            return _too_many(requests, requests)
        case Only(who=who):
            return _others(answered, {names[one.address] for one in who})
        case Share():
            return _against_share(demand, answered, names)
        case Latency(most=most):
            slowest = max(request.took for request in answered)
            return "" if slowest <= most else f"the slowest answer took {slowest * 1000:.0f} ms"
        case _:
            assert_never(demand)


def _too_many(failed: Sequence[Request], requests: Sequence[Request]) -> str:
    reasons = Counter(request.error for request in failed).most_common(3)
    told = ", ".join(f"{number} x {reason}" for reason, number in reasons)
    return f"{len(failed)} of {plural(len(requests), 'request')} without an answer ({told})"


def _others(answered: Iterable[Request], wanted: set[str]) -> str:
    others = Counter(request.server for request in answered if request.server not in wanted)
    told = ", ".join(f"{name} {number} times" for name, number in others.most_common())
    return f"answered by {told}" if told else ""


def _against_share(demand: Share, answered: Sequence[Request], names: Names) -> str:
    name = names[demand.who.address]
    given = sum(request.server == name for request in answered)
    share = given / len(answered)
    if abs(share - demand.share) <= demand.tolerance + 1e-9:
        return ""
    return f"{given} of {plural(len(answered), 'answer')} from {name}, {share:.0%}"


def summary(requests: Sequence[Request]) -> str:
    """What clients saw, in a line."""
    servers = Counter(request.server for request in requests if request.server)
    failed = sum(1 for request in requests if request.error)
    told = [f"{name} {number}" for name, number in sorted(servers.items())]
    return ", ".join([*told, plural(failed, "error")])
