"""The clients that a service is for."""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache

from ipvs_lb.config.forms import ServiceForm
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.tree import Block, Spot
from ipvs_lb.config.validation import Filled
from ipvs_lb.model.firewall import canonical, of_family
from ipvs_lb.model.identity import Family

_canonical = lru_cache(maxsize=16)(canonical)  # many services have the networks of the defaults


def allowed(
    filled: Filled[ServiceForm], raw: Block, families: Set[Family], spot: Spot, problems: Problems
) -> tuple[str, ...]:
    """The networks of the clients that get in, none for everyone; a service that answers nobody is a problem."""
    networks, where = tuple(filled.form.allow), spot.at("allow")
    if not networks:
        if "allow" in raw and "allow" not in filled.broken:
            where.note(
                problems, 'no network, so nobody gets in; for everyone write 0.0.0.0/0 or "::/0"'
            )
        return ()
    if "allow" in raw:
        _refuse_strangers(networks, families, where, problems)
    for family in sorted(families):
        if not of_family(networks, family):
            where.note(problems, f"no {family} network, so nobody gets in over {family}")
    return _canonical(networks)


def _refuse_strangers(
    networks: tuple[str, ...], families: Set[Family], where: Spot, problems: Problems
) -> None:
    for index, network in enumerate(networks):
        family = Family.IPV6 if ":" in network else Family.IPV4
        if families and family not in families:
            where.at(index).note(
                problems, f"{network} is {family}, and no address of the service is"
            )
