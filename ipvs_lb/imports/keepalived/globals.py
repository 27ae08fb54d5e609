"""What a keepalived.conf says outside of virtual servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface

from ipvs_lb.config import values
from ipvs_lb.imports.findings import Findings
from ipvs_lb.imports.keepalived.given import Giver
from ipvs_lb.imports.keepalived.real_servers import MAILS
from ipvs_lb.imports.keepalived.statements import Block, Statement
from ipvs_lb.model.checks import Tls
from ipvs_lb.model.identity import NO_PORT, IPAddress
from ipvs_lb.model.settings import SyncDaemon, SyncRole, Timeouts

_VRRP_BLOCKS = (
    "vrrp_instance", "vrrp_sync_group", "vrrp_script", "vrrp_track_process",
    "garp_group", "vrrp_garp_group", "static_track_group", "linkbeat_interfaces", "linkbeat_use_polling", "interface_up_down_delays",
)  # fmt: skip
_WATCHED = "bfd_instance", "track_file", "vrrp_track_file"
_ROUTES = "static_routes", "static_rules"
_HELD = "virtual_ipaddress", "virtual_ipaddress_excluded"
_MAIL = (
    "notification_email", "notification_email_from", "smtp_server", "smtp_connect_timeout", "smtp_helo_name",
    "smtp_alert", "smtp_alert_checker", "smtp_alert_vrrp", "no_email_faults", "email_faults",
)  # fmt: skip
_FIFOS = "notify_fifo", "notify_fifo_script", "lvs_notify_fifo", "lvs_notify_fifo_script"
_HARMLESS = (
    "router_id", "enable_script_security", "process_names", "max_auto_priority", "min_auto_priority_delay", "enable_snmp_checker",
    "enable_snmp_keepalived", "enable_snmp_vrrp", "enable_snmp_rfc", "enable_traps", "snmp_socket", "enable_dbus", "umask", "data_use_instance",
    "checker_log_all_failures", "dynamic_interfaces", "use_pid_dir", "child_wait_time", "checker_priority", "checker_no_swap",
    "checker_rt_priority", "checker_rlimit_rttime", "rs_init_notifies", "lvs_flush_on_stop", "use_symlink_paths", "log_unknown_vrids",
    "config_save_dir", "reload_time_file", "reload_repeat", "reload_date_specific", "reload_check_config", "startup_script", "shutdown_script", "instance", "default_interface",
)  # fmt: skip
_PLAIN_TIMEOUTS = {"tcp": 900, "tcpfin": 120, "udp": 300}


@dataclass(slots=True)
class Global:
    """The settings of the file that a draft has a place for."""

    timeouts: Timeouts | None = None
    sync_daemons: tuple[SyncDaemon, ...] = ()
    script_user: str | None = None
    tls: Tls = field(default_factory=Tls)


def settings(block: Block, findings: Findings) -> Global:
    """Take global_defs and SSL out of the file's *block*."""
    result = Global()
    for statement in block.every("global_defs"):
        giver = Giver(Block(statement), "global_defs", findings)
        timeouts = giver.block.last("lvs_timeouts")
        if timeouts is not None:
            result.timeouts = _timeouts(giver, timeouts)
        sync = giver.block.last("lvs_sync_daemon")
        if sync is not None:
            result.sync_daemons = _sync(giver, sync)
        result.script_user = giver.text("script_user") or result.script_user
        _leave_out(giver)
    for statement in block.every("SSL"):
        result.tls = _tls(Giver(Block(statement), "SSL", findings))
    return result


def _leave_out(giver: Giver) -> None:
    giver.left_out(*MAILS, *_MAIL)
    giver.left_out("there is no fifo", "ipvs-lb events and hooks: tell the same", *_FIFOS)
    why = "services of others are left alone"
    giver.left_out(why, "ipvs-lb apply --prune removes them", "lvs_flush")
    why = "ipvs-lb works in the network namespace it is started in"
    todo = "start it with ip netns exec"
    giver.left_out(why, todo, "net_namespace", "net_namespace_ipvs", "namespace_with_ipsets")
    for statement in giver.block.every(
        "nftables_ipvs", "nftables_ipvs_priority", "nftables_ipvs_start_fwmark"
    ):
        why = "each address of a group is a service of its own, without marks"
        giver.findings.changed(statement.mark, giver.what(statement), why)
    giver.unneeded("nothing here needs it", *_HARMLESS)
    for statement in giver.block.rest():
        if statement.keyword.startswith(("vrrp_", "bfd_", "nftables")):
            giver.findings.unneeded(statement.mark, giver.what(statement), "it is about VRRP")
            giver.block.every(statement.keyword)
    giver.end()


def _timeouts(giver: Giver, statement: Statement) -> Timeouts | None:
    found = dict(_PLAIN_TIMEOUTS)
    words = statement.values
    given = set()
    for name, text in zip(words[::2], [*words[1::2], ""], strict=False):
        if name not in found:
            giver.findings.left_out(statement.mark, giver.what(statement), f"{name} is not known")
            continue
        try:
            found[name] = values.whole(1, (2**31 - 1) // 100)(text)
            given.add(name)
        except ValueError as error:
            giver.findings.left_out(statement.mark, giver.what(statement), str(error))
    if not given:
        return None
    if given != set(found):
        rest = ", ".join(f"{name} {found[name]} s" for name in found if name not in given)
        why = f"what it does not say becomes the kernel's default: {rest}"
        giver.findings.changed(statement.mark, giver.what(statement), why)
    return Timeouts(tcp=found["tcp"], tcp_fin=found["tcpfin"], udp=found["udp"])


def _sync(giver: Giver, statement: Statement) -> tuple[SyncDaemon, ...]:
    options = {"id", "maxlen", "port", "ttl", "group", "inst"}
    interface, *words = statement.values or [""]
    if words and words[0] not in options:
        words = ["inst", *words]
    given = dict(zip(words[::2], [*words[1::2], ""], strict=False))
    try:
        daemons = _daemons(values.interface(interface), given)
    except (ValueError, KeyError) as error:
        giver.findings.left_out(statement.mark, giver.what(statement), str(error))
        return ()
    if "inst" in given:
        why = "its role follows VRRP, which is not spoken here"
        todo = "write sync: with role: master here and role: backup on the other gateway"
        giver.findings.left_out(statement.mark, giver.what(statement), why, todo)
        return ()
    return daemons


def _daemons(interface: str, given: dict[str, str]) -> tuple[SyncDaemon, ...]:
    """Both roles at once, as keepalived starts them where no VRRP instance decides. Raises ValueError."""
    both = SyncDaemon(
        role=SyncRole.MASTER,
        interface=interface,
        sync_id=values.whole(0, 255)(given.get("id", "0")),
        max_length=values.whole(1024, 65507)(given["maxlen"]) if "maxlen" in given else 0,
        group=values.multicast(given["group"]) if "group" in given else None,
        port=values.port(given["port"]) if "port" in given else NO_PORT,
        ttl=values.whole(0, 255)(given.get("ttl", "0")),
    )
    return both, replace(both, role=SyncRole.BACKUP)


def _tls(giver: Giver) -> Tls:
    for statement in giver.block.every("password"):
        why = "a key with a password cannot be used"
        giver.findings.left_out(statement.mark, "SSL: password ...", why, "take the password off")
    giver.unneeded("keepalived does not verify with it; verify: yes and ca_file: would", "ca")
    found = Tls(
        certificate=giver.value(values.file_path, "certificate"),
        key=giver.value(values.file_path, "key"),
    )
    giver.end()
    return found


def holders(statements: Iterable[Statement]) -> dict[IPAddress, str]:
    """Who holds which address: VRRP instances, and the static addresses of the file."""
    found: dict[IPAddress, str] = {}
    for statement in statements:
        if statement.keyword == "static_ipaddress":
            found |= dict.fromkeys(_held(statement), f"static_ipaddress ({statement.mark})")
        if statement.keyword == "vrrp_instance":
            who = f"{statement.title} ({statement.mark})"
            for inner in statement.block or []:
                if inner.keyword in _HELD:
                    found |= dict.fromkeys(_held(inner), who)
    return found


def _held(statement: Statement) -> Iterator[IPAddress]:
    for line in statement.block or []:
        try:
            yield ip_interface(line.keyword).ip
        except ValueError:
            continue


def leave_out(block: Block, findings: Findings) -> None:
    """Tell what the file says besides virtual servers and global settings."""
    for statement in block.every(*_VRRP_BLOCKS):
        what, why = statement.title, "VRRP and what belongs to it is not spoken here"
        findings.left_out(statement.mark, what, why, _vrrp_todo(statement))
    for statement in block.every(*_WATCHED):
        why = "the checkers that look at it are left out"
        findings.left_out(statement.mark, statement.title, why)
    for statement in block.every("static_ipaddress"):
        findings.left_out(
            statement.mark,
            "static_ipaddress",
            "addresses that are no VIPs are the host's own affair",
            "move it to the network configuration",
        )
    for statement in block.every(*_ROUTES):
        why = "routes and rules are the host's own affair"
        todo = "move it to the network configuration"
        findings.left_out(statement.mark, statement.title, why, todo)
    for statement in block.rest():
        findings.left_out(
            statement.mark, statement.title, "not known here", "look up what it is for"
        )


def _vrrp_todo(statement: Statement) -> str:
    todo = "keep keepalived for it: keepalived --vrrp leaves IPVS alone"
    sync = [one for one in statement.block or [] if one.keyword == "lvs_sync_daemon_interface"]
    if sync:
        todo += f"; for lvs_sync_daemon_interface write sync: with interface {sync[0].value}"
    return todo
