"""Random tables over every field: our dump, pyroute2's and ipvsadm's lists agree on what the kernel has."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST
from pyroute2.netlink.generic.ipvs import (
    IPVS_CMD_GET_DEST,
    IPVS_CMD_GET_SERVICE,
    IPVSSocket,
    ipvsmsg,
)

from ipvs_lb.cli.ipvsadm.restore import restore
from ipvs_lb.commands import Flush
from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.network import Network
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.netlink import NetlinkKernel, open_kernel
from ipvs_lb.plan import plan
from tests import pyroute2_view, strategies

on_the_kernel = settings(
    max_examples=100,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes where a system call is slow
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
tables = strategies.tables(most_services=6).map(lambda table: Table(table.services, table.timeouts))


@dataclass
class Gateway:
    """A host and the IPVS in its namespace."""

    host: Host
    kernel: NetlinkKernel


@pytest.fixture
def gateway(network: Network) -> Iterator[Gateway]:
    host = network.host("gateway")
    with host.call(open_kernel) as kernel:
        yield Gateway(host, kernel)


LISTS = """\
-Ln
-Ln --stats
-Ln --rate --nosort
-Ln --thresholds
-Ln --persistent-conn
-Ln --tun-info
-Ln --stats --exact
-Sn
-L --timeout
-Lcn
"""
_MARK = re.compile(r"(FWM  |-f )(-\d+)( IPv6)?( +)")


def listed_by_ipvsadm(host: Host) -> str:
    """What ipvsadm prints for all of LISTS, marks from 2**31 on put right: it shows them as negative numbers."""
    done = host.run(["sh", "-c", f"printf '%s' '{LISTS}' | ipvsadm -R"])
    return _MARK.sub(_with_true_mark, done.stdout)


def _with_true_mark(found: re.Match[str]) -> str:
    name = f"{found[1]}{int(found[2]) + 2**32}{found[3] or ''}"
    return name.ljust(len(found[0])) if len(found[4]) > 1 else name + found[4]


def listed_by_ours(gateway: Gateway) -> str:
    reading, writing = os.pipe()
    os.write(writing, LISTS.encode())
    os.close(writing)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert gateway.host.call(restore, gateway.kernel, reading, "ipvsadm") == 0
    os.close(reading)
    return said.getvalue()


def dump(ipvs: Any, command: int, *attributes: Any) -> list[Any]:
    question = ipvsmsg()
    question["cmd"], question["version"], question["attrs"] = command, 1, list(attributes)
    return list(
        ipvs.nlm_request(question, msg_type=ipvs.prid, msg_flags=NLM_F_REQUEST | NLM_F_DUMP)
    )


def seen_by_pyroute2() -> dict[ServiceKey, VirtualService]:
    found = {}
    with IPVSSocket() as ipvs:
        for answer in dump(ipvs, IPVS_CMD_GET_SERVICE):
            nest = answer.get_attr("IPVS_CMD_ATTR_SERVICE")
            names = ("AF", "PROTOCOL", "ADDR", "PORT", "FWMARK")
            named = [a for a in nest["attrs"] if a[0].removeprefix("IPVS_SVC_ATTR_") in names]
            answers = dump(ipvs, IPVS_CMD_GET_DEST, ("IPVS_CMD_ATTR_SERVICE", {"attrs": named}))
            nests = [answer.get_attr("IPVS_CMD_ATTR_DEST") for answer in answers]
            found[pyroute2_view.service_key(nest)] = VirtualService(
                pyroute2_view.service(nest),
                {pyroute2_view.server_key(n): pyroute2_view.server(n) for n in nests},
            )
    return found


@pytest.mark.timeout(600)  # a program is started for each table
@on_the_kernel
@given(wanted=tables)
def test_what_is_executed_is_what_everybody_reads(gateway: Gateway, wanted: Table) -> None:
    kernel = gateway.kernel
    kernel.execute([Flush(), *plan(Table(), wanted)])
    present = kernel.read()
    assert present.services == wanted.services
    assert wanted.timeouts in {None, present.timeouts}
    assert plan(present, wanted) == ()
    assert listed_by_ours(gateway) == listed_by_ipvsadm(gateway.host)


@settings(on_the_kernel, max_examples=30)
@given(wanted=tables)
def test_pyroute2_reads_the_same(gateway: Gateway, wanted: Table) -> None:
    gateway.kernel.execute([Flush(), *plan(Table(), wanted)])
    assert gateway.host.call(seen_by_pyroute2) == gateway.kernel.read().services


@on_the_kernel
@given(first=tables, second=tables, changed=st.data())
def test_any_table_can_be_made_of_any_other(
    gateway: Gateway, first: Table, second: Table, changed: st.DataObject
) -> None:
    """Also where both have the same services and servers with other settings: edits reach every field.

    keepalived #1354 #1757 #187
    """
    kernel = gateway.kernel
    wanted = Table({**second.services, **resettled(changed, first)}, second.timeouts)
    kernel.execute([Flush(), *plan(Table(), first)])
    kernel.execute(plan(kernel.read(), wanted))
    assert kernel.read().services == wanted.services


def resettled(changed: st.DataObject, table: Table) -> dict[ServiceKey, VirtualService]:
    """Some services of *table* with new settings for themselves and their servers."""
    found = {}
    for key, virtual in table.services.items():
        if changed.draw(st.booleans()):
            servers = {
                server_key: changed.draw(
                    strategies.servers(strategies.possible_methods(key, server_key))
                )
                for server_key in virtual.servers
            }
            found[key] = VirtualService(changed.draw(strategies.services(key)), servers)
    return found
