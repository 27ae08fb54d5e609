"""quorum and hysteresis: keepalived adds up weights, a configuration of ours counts servers."""

from __future__ import annotations

from collections.abc import Sequence

from ipvs_lb.config.draft import DraftServer
from ipvs_lb.imports.keepalived.given import Giver
from ipvs_lb.model.config import Quorum, QuorumAction


def quorum(giver: Giver, servers: Sequence[DraftServer]) -> Quorum | None:
    """The quorum of a virtual server with these *servers*; None where one server is enough anyway."""
    statement = giver.block.last("quorum")
    hysteresis = giver.number("hysteresis") or 0
    if statement is None:
        return None
    wanted = int(statement.value) if statement.value.isdigit() else 0
    first = [server for server in servers if not server.tier]
    weights = {server.weight for server in first}
    if not wanted or len(weights) != 1 or 0 in weights:
        why = "weights are not added up, servers are counted"
        todo = "write quorum: with a number of servers"
        if wanted != 1:
            giver.findings.left_out(statement.mark, giver.what(statement), why, todo)
        return None
    (weight,) = weights
    result, exact = _counted(wanted, hysteresis, weight, len(first))
    if not exact:
        giver.findings.changed(
            statement.mark,
            f"{giver.what(statement)}, hysteresis {hysteresis}",
            f"lost below {result.servers - result.hysteresis} of {len(first)} servers, "
            f"regained at {result.servers + result.hysteresis}",
        )
    if result.servers == 1 and not result.hysteresis:
        return None
    falls_back = any(server.tier for server in servers)
    action = QuorumAction.BACKUP if falls_back else QuorumAction.WITHDRAW
    return Quorum(servers=result.servers, hysteresis=result.hysteresis, action=action)


def _counted(wanted: int, hysteresis: int, weight: int, present: int) -> tuple[Quorum, bool]:
    """Lost below and regained at as many servers as carry the weights; and whether that is exactly the same."""
    lost_below = max(-(-(wanted - hysteresis) // weight), 1)
    regained_at = -(-(wanted + hysteresis) // weight)
    high = min(regained_at, present)
    low = min(lost_below, high)
    servers = (low + high + 1) // 2
    spread = min(servers - low, present - servers)
    exact = (servers - spread, servers + spread) == (lost_below, regained_at)
    return Quorum(servers=servers, hysteresis=spread), exact
