"""What ipvsadm shows of the kernel: the table, rules, connections, timeouts, sync daemons."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from ipvs_lb.cli.ipvsadm.program import NAMES, complain
from ipvs_lb.ipvsadm.complaints import NO_SUCH_SERVICE
from ipvs_lb.ipvsadm.request import List, ListConnections, Plain, Request, Save
from ipvs_lb.ipvsadm.words import NUMERIC, Names
from ipvs_lb.netlink.kernel import NetlinkKernel

_CONNECTIONS = "/proc/net/ip_vs_conn"
_OF_THIS_THREAD = "/proc/thread-self/net/ip_vs_conn"
_FAILED = 1


def show(kernel: NetlinkKernel, request: Request) -> int:
    """Print what *request* asks for: the exit status."""
    match request:
        case List():
            return _list(kernel, request)
        case Save(numeric):
            from ipvs_lb.ipvsadm.order import sort
            from ipvs_lb.ipvsadm.save import render

            sys.stdout.write(render(sort(kernel.observe()[0]), _names(numeric=numeric)))
        case ListConnections():
            return _connections(request)
        case Plain.LIST_TIMEOUTS:
            from ipvs_lb.ipvsadm.listing import render_timeouts

            sys.stdout.write(render_timeouts(kernel.settings()[0]))
        case _:
            from ipvs_lb.ipvsadm.listing import render_daemons

            sys.stdout.write(render_daemons(kernel.settings()[1]))
    return 0


def _list(kernel: NetlinkKernel, request: List) -> int:
    from ipvs_lb.ipvsadm.listing import render
    from ipvs_lb.ipvsadm.order import sort

    table, statistics = kernel.observe(request.key)
    if request.key is not None and not table.services:
        complain(NO_SUCH_SERVICE)
        return _FAILED
    info = kernel.info() if request.key is None else None
    table = sort(table) if request.sort else table
    names = _names(numeric=request.numeric)
    sys.stdout.write(render(request, table, statistics, info=info, names=names))
    return 0


def _connections(request: ListConnections) -> int:
    from ipvs_lb.ipvsadm.connections import render

    names = _names(numeric=request.numeric)
    try:
        with Path(_OF_THIS_THREAD).open(encoding="ascii", errors="replace") as lines:
            sys.stdout.writelines(render(lines, engines=request.engines, names=names))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        complain(f"cannot open file {_CONNECTIONS}")
        return _FAILED
    return 0


def _names(*, numeric: bool) -> Names:
    return NUMERIC if numeric else NAMES
