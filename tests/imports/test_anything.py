"""Whatever a file says, an import ends, with a configuration that loads or a refusal that says why."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipvs_lb.errors import ConfigError
from ipvs_lb.imports.kinds import Kind
from tests.imports.files import FIXTURES, config, imported

WORDS = {
    Kind.KEEPALIVED: (
        "virtual_server", "virtual_server_group", "real_server", "sorry_server", "global_defs", "vrrp_instance", "group", "fwmark",
        "10.0.0.16", "10.0.0.4-9", "fd00::1", "224.0.0.1", "0.0.0.0", "80", "0", "70000", "-1", "x", "{", "}", "\n", "\n", "\n", "$A=", "$A", "${A}",
        "$A= \\\n", "@main", "@^main", "~SEQ(A, 1, 3)", "~LST(A, 1, 2)", "include x", '"', "'", "\\", "!", "#", "lb_algo", "lvs_method", "TUN", "type", "gue",
        "port", "quorum", "hysteresis", "persistence_timeout", "persistence_granularity", "protocol", "TCP", "UDP", "HTTP_GET", "url", "path", "/a", "regex",
        "status_code", "200-", "digest", "TCP_CHECK", "MISC_CHECK", "misc_path", "UDP_CHECK", "require_reply", "xx", "weight", "uthreshold", "lthreshold",
        "delay_loop", "connect_timeout", "retry", "lvs_timeouts", "tcp", "lvs_sync_daemon", "eth1", "id", "snmp_name", "virtualhost",
    ),
    Kind.LDIRECTORD: (
        "virtual=", "virtual6=", "10.0.0.16:80", "[fd00::1]:80", "7", "\n\t", "\n\t", "\n\t", "\n", "real=", "real6=", "10.0.0.4:80", "10.0.0.4->10.0.0.6:81", "gate", "masq",
        "ipip", "3", "l:5", "u:4", "fallback=", "127.0.0.1:80", "checktype=", "negotiate", "connect", "on", "off", "external", "service=", "http", "dns", "simpletcp",
        "request=", "receive=", '"a"', '"("', "scheduler=", "rr", "persistent=", "netmask=", "255.0.255.0", "checkport=", "checkinterval=", "0", "quiescent=yes", "#", "protocol=udp",
        "virtualhost=", '"a b"', "httpmethod=", "HEAD", "checkcommand=", "/bin/x", "ops=yes", "servicename=", "comment=", "99999999999",
    ),
    Kind.IPVSADM: (
        "-A", "-a", "-E", "-e", "-D", "-d", "-C", "-t", "-u", "-f", "-r", "-s", "-m", "-g", "-i", "-w", "-p", "-M", "-b", "-o", "--set", "--pe", "sip", "sh", "sh-port",
        "10.0.0.16:80", "[fd00::1]:80", "10.0.0.4:80", "0.0.0.0:80", "7", "0", "99999999999", "\n", "\n", "#", "-6",
    ),
    Kind.IPVSCTL: (
        "services:", "defaults:", "destinations:", "- address:", "address:", "tcp://10.0.0.16:80", "fwmark:7", "10.0.0.4:80", "10.0.0.4", "sched:", "rr", "forward:", "nat", "weight:",
        "3", "70000", "\n", "\n", "\n  ", "\n  ", "\n    ", " ", "[", "]", "{", "}", "'", "${env.x}", "*a", "&a", "<<:",
    ),
}  # fmt: skip


def soup(kind: Kind) -> st.SearchStrategy[tuple[str, Kind]]:
    words = st.lists(st.sampled_from(WORDS[kind]), max_size=60)
    glue = "" if kind is Kind.IPVSCTL else " "
    return words.map(lambda chosen: (glue.join(chosen), kind))


@settings(max_examples=300, deadline=None)
@given(written=st.one_of([soup(kind) for kind in Kind]))
@example(written=("", Kind.KEEPALIVED))
@example(written=("\0\x1b\u2028\r}{", Kind.KEEPALIVED))
@example(written=("virtual=1:\n\treal=\x00 gate", Kind.LDIRECTORD))
def test_any_words_in_any_order_end_in_a_configuration_that_loads(written):
    ends(*written)


def ends(text: str, kind: Kind) -> None:
    try:
        found = imported(text, kind)
    except ConfigError:
        return
    assert len(config(found).services) == found.services


FILES = [path for path in sorted(FIXTURES.glob("*/*.c*")) if path.name != "all.conf"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_file_that_is_cut_and_torn_still_ends_in_one(path, data):
    kind = Kind(path.parent.name)
    lines = path.read_text().splitlines()
    gone = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=8))
    left = [line for number, line in enumerate(lines) if number not in gone]
    ends("\n".join(left), kind)
