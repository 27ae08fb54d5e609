"""Rules about what wears out or gets in the way: limits, clock, state, the daemon, other managers."""

from __future__ import annotations

from collections.abc import Iterator

from ipvs_lb.doctor import declared
from ipvs_lb.doctor.facts import Facts
from ipvs_lb.doctor.finding import Rule, error, note, some, warning

Found = Iterator[tuple[str, str]]
_TRACKED_MAX = "net.netfilter.nf_conntrack_max"
_TRACKED = "net.netfilter.nf_conntrack_count"
_ESTIMATION = "net.ipv4.vs.run_estimation"
_CHAIN = 8  # connections in one row of the table
_ESTIMATORS = 20_000
_LEAST_SPACE = 64 * 2**20
_SPARE_FILES = 100
_MINUTE = 60.0
_FULL = 0.8


def _tracking(facts: Facts) -> Found:
    found = facts.host.sysctls
    most, count = int(found.get(_TRACKED_MAX, "0")), int(found.get(_TRACKED, "0"))
    if most and count >= _FULL * most:
        yield f"{count} of {most} connections are tracked", f"sysctl -w {_TRACKED_MAX}={2 * most}"


def _table(facts: Facts) -> Found:
    if facts.table_size and facts.connections > _CHAIN * facts.table_size:
        bits = min(20, (facts.connections - 1).bit_length())
        yield (
            f"{facts.connections} connections are in a table of {facts.table_size} rows",
            f"echo options ip_vs conn_tab_bits={bits} >/etc/modprobe.d/ip_vs.conf # counts when ip_vs is loaded",
        )


def _estimation(facts: Facts) -> Found:
    services = facts.table.services
    count = len(services) + sum(len(one.servers) for one in services.values())
    if count > _ESTIMATORS and facts.host.sysctls.get(_ESTIMATION) == "1":
        yield f"rates of {count} services and servers are estimated", f"sysctl -w {_ESTIMATION}=0"


def _files(facts: Facts) -> Found:
    checks = {
        (server.address, server.port, check)
        for one in declared.services(facts)
        for server in one.servers
        for check in server.checks
    }
    needed = len(checks) + _SPARE_FILES
    if facts.file_limit is not None and checks and facts.file_limit < needed:
        yield (
            f"{len(checks)} checks may need {needed} open files, {facts.file_limit} are allowed",
            f"systemctl edit ipvs-lb # [Service] LimitNOFILE={2 * needed}",
        )


def _clock(facts: Facts) -> Found:
    if not facts.clock_is_set:
        yield "the clock is not synchronised", "timedatectl set-ntp true"


def _clock_back(facts: Facts) -> Found:
    newest = facts.state.newest
    if newest is not None and newest > facts.now + _MINUTE:
        yield (
            f"the newest generation was made {newest - facts.now:.0f} s from now",
            "timedatectl set-ntp true",
        )


def _damaged(facts: Facts) -> Found:
    for problem in facts.state.problems:
        yield problem, f"ipvs-lb apply -c {facts.config_path}"


def _permissions(facts: Facts) -> Found:
    if facts.state.others_write:
        yield f"others may write to {facts.state.path}", f"chmod go-w {facts.state.path}"


def _space(facts: Facts) -> Found:
    free = facts.state.free
    if free is not None and free < _LEAST_SPACE:
        yield f"{free // 2**20} MB are free for {facts.state.path}", f"df -h {facts.state.path}"


def _no_daemon(facts: Facts) -> Found:
    checked = [
        one.name for one in declared.services(facts) if any(server.checks for server in one.servers)
    ]
    if checked and not facts.daemon.running:
        yield (
            f"no daemon runs, and {some(checked)} has health checks",
            "systemctl enable --now ipvs-lb",
        )


def _refused(facts: Facts) -> Found:
    if facts.daemon.config_error:
        yield (
            f"the daemon refused the configuration: {facts.daemon.config_error[0]}",
            f"ipvs-lb validate -c {facts.config_path}",
        )


def _managers(facts: Facts) -> Found:
    if facts.managers:
        name = facts.managers[0]
        yield f"{some([*facts.managers])} runs here", f"systemctl disable --now {name}"


def _foreign(facts: Facts) -> Found:
    ours = {key for one in declared.services(facts) for key in one.keys} | facts.owned.services
    foreign = [str(key) for key in facts.table.services if key not in ours]
    if foreign:
        yield (
            f"in the kernel, and neither declared nor ours: {some(foreign)}",
            f"ipvs-lb apply -c {facts.config_path} --prune",
        )


def _not_seen(facts: Facts) -> Found:
    for what in facts.not_seen:
        yield what, "run it as root"


RULES = (
    Rule(
        error(
            "state.damaged",
            "What is ours is not known any more, and there is nothing to roll back to.",
        ),
        _damaged,
    ),
    Rule(
        error(
            "config.refused",
            "The old configuration stays in force.",
            "docs/how-to/daemon.md#change-the-configuration",
        ),
        _refused,
    ),
    Rule(
        warning(
            "daemon.absent", "Servers that fail stay in.", "docs/how-to/daemon.md#install-the-unit"
        ),
        _no_daemon,
    ),
    Rule(
        warning(
            "manager.other",
            "Two programs change one table; each takes the other's changes for faults.",
            "docs/how-to/from-ipvsadm.md#take-it-over",
        ),
        _managers,
    ),
    Rule(
        warning(
            "conntrack.full",
            "When the table of tracked connections is full, new connections are dropped.",
        ),
        _tracking,
    ),
    Rule(warning("connection_table.small", "Every packet costs more to look up."), _table),
    Rule(
        warning("files.limit", "Checks fail though servers are well, when many are open at once."),
        _files,
    ),
    Rule(
        warning("state.writable", "Whoever writes there decides what is taken for ours."),
        _permissions,
    ),
    Rule(
        warning("state.space", "Orders and generations cannot be recorded; changes are refused."),
        _space,
    ),
    Rule(
        warning(
            "clock.went_back", "Orders with an end last longer, and the history is out of order."
        ),
        _clock_back,
    ),
    Rule(
        note(
            "clock.unsynchronised", "Times in events are wrong, and certificates may seem expired."
        ),
        _clock,
    ),
    Rule(
        note("estimation.costly", "Estimating rates takes processor time that packets wait for."),
        _estimation,
    ),
    Rule(
        note("service.foreign", "They are left alone.", "docs/how-to/from-ipvsadm.md#take-it-over"),
        _foreign,
    ),
    Rule(note("not_seen", "What was not looked at may be wrong."), _not_seen),
)
