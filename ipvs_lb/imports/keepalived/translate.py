"""A whole keepalived.conf as a draft."""

from __future__ import annotations

from ipvs_lb.config.draft import Draft, DraftService
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.keepalived import globals as rest
from ipvs_lb.imports.keepalived.addresses import group
from ipvs_lb.imports.keepalived.http_checkers import Surroundings
from ipvs_lb.imports.keepalived.lines import Reader
from ipvs_lb.imports.keepalived.services import Pools, services
from ipvs_lb.imports.keepalived.statements import Block, Statement, statements
from ipvs_lb.imports.keepalived.virtual_servers import Scene, virtual
from ipvs_lb.imports.names import Names
from ipvs_lb.imports.sources import Source, Text


def translate(file: Text, source: Source, config_id: str, findings: Findings) -> Draft:
    """What *file* declares; *findings* are told of the rest. Raises TooMuchError."""
    top = statements(Reader(source, config_id, findings).lines(file), findings)
    block = Block(Statement([], Mark(file.name, 1), top))
    holders = rest.holders(top)
    general = rest.settings(block, findings)
    groups = {
        " ".join(one.values): group(one, findings) for one in block.every("virtual_server_group")
    }
    around = Surroundings(owner="", script_user=general.script_user, tls=general.tls)
    scene = Scene(groups=groups, holders=holders, around=around)
    names, found = Names(), list[DraftService]()
    pools: Pools = {}
    written = block.every("virtual_server")
    rest.leave_out(block, findings)
    apart = Findings(list(findings.found))
    for statement in written:
        own = Findings()
        declared = virtual(statement, scene, own)
        if declared is not None:
            found += services(declared, holders, names, pools, own)
        else:
            apart.found += own.found
        findings.found += own.found
    return Draft(
        services=tuple(found),
        pools=pools,
        timeouts=general.timeouts,
        sync_daemons=general.sync_daemons,
        remarks=apart.remarks(),
    )
