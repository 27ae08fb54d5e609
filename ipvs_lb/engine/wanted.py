"""What should be in force on this gateway: the table as it is decided, and what its surroundings must have for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ipvs_lb import hostplan
from ipvs_lb.engine.court import withdrawn
from ipvs_lb.model.config import Config
from ipvs_lb.model.desired import Desired, Owned
from ipvs_lb.model.host import HostState, Vip
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.table import Table
from ipvs_lb.policy import VipRuling
from ipvs_lb.ports import Host


def wanted(
    host: Host, config: Config, owned: Owned, table: Table, rulings: Mapping[IPAddress, VipRuling]
) -> tuple[Desired, HostState, Sequence[Vip]]:
    """Everything that is to be in force, *host* as it is, and the VIPs that have no place on it.

    Calls of *host* block: this is for a thread beside the event loop. Raises HostError.
    """
    state = host.read(hostplan.SYSCTLS)
    rules = hostplan.firewall(config, table, state)
    vips = [vip for service in config.services for vip in service.vips]
    homeless = hostplan.homeless(vips, state)
    vips = [vip for vip in vips if vip not in homeless] if homeless else vips
    names = hostplan.answer_sysctls(config, state)
    if names:
        asked = host.read(names, links=False, firewall=False)
        state = replace(state, sysctls={**state.sysctls, **asked.sysctls})
    if table.daemons is None and owned.daemons:
        table = replace(table, daemons={})
    placed = hostplan.place(vips, state)
    desired = Desired(
        table,
        placed,
        rules,
        hostplan.sysctl_needs(config, table, rules.source_nat)
        + hostplan.reuse_needs(table, rules.source_nat, state)
        + hostplan.answer_needs(config, placed, state),
        config.manage_sysctls,
        hostplan.unmanaged(vips),
    )
    present = {place.address for place in state.addresses}
    return withdrawn(desired, rulings, present), state, homeless
