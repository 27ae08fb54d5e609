"""Every rule of the configuration: what is refused, where exactly, and in which words."""

from __future__ import annotations

import pytest

from ipvs_lb.config import loads
from ipvs_lb.errors import ConfigError

RULES = [
    pytest.param(
        """\
version: 1
services:
  - name: web
    vip: 10.0.0.16
    port: 80
    servers:
      - address: 10.0.0.4
        weigth: 3
""",
        ['lb.yaml:8:9: services.0.servers.0.weigth: unknown key, did you mean "weight"?'],
        id="misspelt",
    ),
    pytest.param(
        """\
\
""",
        ["lb.yaml:1:1: version: required key is missing"],
        id="empty",
    ),
    pytest.param(
        """\
hello\
""",
        ["lb.yaml:1:1: document: expected a mapping with keys such as version, services"],
        id="scalar",
    ),
    pytest.param(
        """\
- a\
""",
        ["lb.yaml:1:1: document: expected a mapping with keys such as version, services"],
        id="listroot",
    ),
    pytest.param(
        """\
services: []\
""",
        ["lb.yaml:1:1: version: required key is missing"],
        id="version",
    ),
    pytest.param(
        """\
version: 2\
""",
        ["lb.yaml:1:10: version: expected 1, found 2"],
        id="version2",
    ),
    pytest.param(
        "version: 1\nname: \x00",
        ["lb.yaml:2:7: syntax: character U+0000 is not allowed, expected plain text"],
        id="nul",
    ),
    pytest.param(
        "version: 1\nservices:\n\t- a",
        ["lb.yaml:3:1: syntax: a tab cannot indent or begin a value, use spaces"],
        id="tab",
    ),
    pytest.param(
        """\
version: 1
services: [\
""",
        ["lb.yaml:2:12: syntax: did not find expected node content (while parsing a flow node)"],
        id="unclosed",
    ),
    pytest.param(
        """\
version: 1
services: []
services: []
""",
        ["lb.yaml:3:1: services: duplicate key, it is already at lb.yaml:2:1"],
        id="dup",
    ),
    pytest.param(
        """\
version: 1
---
version: 1
""",
        ["lb.yaml:2:1: document: a second document begins here, expected one per file"],
        id="twodoc",
    ),
    pytest.param(
        """\
version: 1
pools: {a: {<<: {servers: []}}}\
""",
        [
            "lb.yaml:2:12: pools.a.servers: required key is missing",
            'lb.yaml:2:13: pools.a."<<": merge keys (<<) are not supported, use defaults, pools or an alias for the whole value',
        ],
        id="merge",
    ),
    pytest.param(
        """\
version: !!int 1\
""",
        ['lb.yaml:1:10: version: tag "tag:yaml.org,2002:int" is not supported, leave it out'],
        id="tag",
    ),
    pytest.param(
        """\
version: *x\
""",
        ['lb.yaml:1:10: version: alias "*x" has no anchor before it, or is inside of it'],
        id="alias",
    ),
    pytest.param(
        """\
version: &a [*a]\
""",
        ['lb.yaml:1:14: version.0: alias "*a" has no anchor before it, or is inside of it'],
        id="selfalias",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], protocol: tpc}
""",
        ['lb.yaml:3:63: services.0.protocol: unknown protocol "tpc", did you mean "tcp"?'],
        id="port",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 70000, servers: []}
""",
        [
            "lb.yaml:3:36: services.0.port: expected a port from 1 to 65535, 0 for all ports, or a range such as 8000-8010, found 70000"
        ],
        id="badport",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    servers: []
    ports:
      - 80
      - 8010-8000
      - 80
      - 010
""",
        [
            'lb.yaml:8:9: services.0.ports.1: expected a port from 1 to 65535, 0 for all ports, or a range such as 8000-8010, found "8010-8000"',
            'lb.yaml:10:9: services.0.ports.3: expected a port from 1 to 65535, 0 for all ports, or a range such as 8000-8010, found "010"',
        ],
        id="ports",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, weight: 010}
""",
        [
            'lb.yaml:7:37: services.0.servers.0.weight: expected a whole number from 0 to 65535, found "010"'
        ],
        id="leading",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 0, servers: []}
""",
        ["lb.yaml:3:36: services.0.port: port 0, all ports, needs persistence"],
        id="zero",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], scheduler: wr}
""",
        ['lb.yaml:3:64: services.0.scheduler: unknown scheduler "wr", did you mean "wrr"?'],
        id="sched",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], scheduler: two}
""",
        ['lb.yaml:3:64: services.0.scheduler: unknown scheduler "two", did you mean "twos"?'],
        id="sched2",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], scheduler: sh, flags: [sh-port, mh-port]}
""",
        [
            "lb.yaml:3:85: services.0.flags.1: mh-port is not for scheduler sh, expected sh-fallback, sh-port, flag-1, flag-2 or flag-3"
        ],
        id="flags",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], one_packet: yes}
""",
        ["lb.yaml:3:65: services.0.one_packet: one-packet scheduling is for udp, this is tcp"],
        id="ops",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], persistence: {timeout: 5m, engine: sip}}
""",
        [
            "lb.yaml:3:88: services.0.persistence.engine: persistence engine sip is for udp, this is tcp"
        ],
        id="sip",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], persistence: 32d}
""",
        ['lb.yaml:3:66: services.0.persistence: expected 1s to 31d, found "32d"'],
        id="pers",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], persistence: 300}
""",
        [
            'lb.yaml:3:66: services.0.persistence: a duration needs a unit, write "300s" (units: ms, s, m, h, d)'
        ],
        id="pers2",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], persistence: 1500ms}
""",
        [
            'lb.yaml:3:66: services.0.persistence: the kernel counts whole seconds here, found "1500ms"'
        ],
        id="pers3",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    forwarding: dr
    servers:
      - {address: 10.0.0.4, port: 8080}
""",
        [
            "lb.yaml:8:35: services.0.servers.0.port: with dr the server's port is the service's own, only masq can map to 8080"
        ],
        id="drport",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - address: 2001:db8::1
""",
        [
            "lb.yaml:7:18: services.0.servers.0.address: 2001:db8::1 is not ipv4 as the service is, only forwarding tunnel can mix families"
        ],
        id="mixed",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, upper_threshold: 5, lower_threshold: 6}
""",
        [
            "lb.yaml:7:66: services.0.servers.0.lower_threshold: lower_threshold 6 is above upper_threshold 5"
        ],
        id="thr",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, lower_threshold: 6}
""",
        [
            "lb.yaml:7:46: services.0.servers.0.lower_threshold: lower_threshold 6 is above upper_threshold 0"
        ],
        id="thr2",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, weight: 65536}
""",
        [
            "lb.yaml:7:37: services.0.servers.0.weight: expected a whole number from 0 to 65535, found 65536"
        ],
        id="weight",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, forwarding: tunnel, tunnel: {type: gue}}
""",
        [
            "lb.yaml:7:57: services.0.servers.0.tunnel: a gue tunnel needs a port, the UDP port the servers listen on"
        ],
        id="gue",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, forwarding: tunnel, tunnel: {type: gre, port: 5, checksum: remcsum}}
""",
        [
            "lb.yaml:7:75: services.0.servers.0.tunnel.port: only gue tunnels have a port, this is gre",
            "lb.yaml:7:88: services.0.servers.0.tunnel.checksum: gre tunnels have no remcsum, expected csum or none",
        ],
        id="gre",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, tunnel: {type: ipip}}
""",
        [
            "lb.yaml:7:37: services.0.servers.0.tunnel: tunnel goes with forwarding tunnel, this is masq"
        ],
        id="tun",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, weight: 1}
      - {address: 10.0.0.4}
      - {address: 10.0.0.4, port: 80, name: x}
      - {address: 10.0.0.5, name: x}
""",
        [
            "lb.yaml:8:19: services.0.servers.1.address: the same server is already at lb.yaml:7:9",
            "lb.yaml:9:19: services.0.servers.2.address: with the service's port this is the server at lb.yaml:8:9",
            'lb.yaml:10:35: services.0.servers.3.name: another server is called "x" at lb.yaml:9:9',
        ],
        id="dupsrv",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, pool: wbe}
pools: {web: {servers: []}}
""",
        ['lb.yaml:3:46: services.0.pool: unknown pool "wbe", did you mean "web"?'],
        id="pool",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80}
""",
        [
            "lb.yaml:3:5: services.0.servers: the servers are missing: servers, which may be [], or pool"
        ],
        id="nopool",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], pool: x}
""",
        ["lb.yaml:3:53: services.0.pool: either servers or pool, not both"],
        id="both",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: []}
  - {name: a, vips: [10.0.0.2, 10.0.0.1], ports: [79-81], servers: []}
""",
        [
            "lb.yaml:4:5: services.1: virtual service tcp/10.0.0.1:80 is already declared at lb.yaml:3:5",
            'lb.yaml:4:12: services.1.name: another service is called "a" at lb.yaml:3:5',
        ],
        id="twice",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: {type: htp}}
""",
        ['lb.yaml:3:74: services.0.health_check.type: unknown type "htp", did you mean "http"?'],
        id="check",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: {path: /}}
""",
        [
            "lb.yaml:3:67: services.0.health_check.type: required key is missing, expected tcp, http, https, tls, udp, sctp, dns, ping, smtp, grpc, redis, mysql, postgres, exec, file or agent"
        ],
        id="check2",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: {type: http, pth: /, expect: 99, interval: 2s, timeout: 3s, tls: {}}}
""",
        [
            'lb.yaml:3:80: services.0.health_check.pth: unknown key, did you mean "path"?',
            'lb.yaml:3:96: services.0.health_check.expect: expected status codes such as 200, 200-299 or "200-299,404", found 99',
            "lb.yaml:3:123: services.0.health_check.timeout: timeout 3s must be shorter than interval 2s",
            "lb.yaml:3:127: services.0.health_check.tls: unknown key, expected interval, fast_interval, timeout, rise, fall, source, mark, via, address, port, type, method, path, host, headers, body, http_version, expect, body_contains, body_regex or body_limit",
        ],
        id="check3",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: {type: tls, min_day: 4, tls: {verfy: yes}}}
""",
        [
            'lb.yaml:3:79: services.0.health_check.min_day: unknown key, did you mean "min_days"?',
            'lb.yaml:3:97: services.0.health_check.tls.verfy: unknown key, did you mean "verify"?',
        ],
        id="check4",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: {type: http, body_regex: '(('}}
""",
        [
            'lb.yaml:3:92: services.0.health_check.body_regex: "((" is not a regular expression: missing ) at position 2'
        ],
        id="check5",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: {type: agent}}
""",
        [
            "lb.yaml:3:67: services.0.health_check: an agent check needs a port, the one the agent listens on"
        ],
        id="check6",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: {type: tcp, fast_interval: 10s}}
""",
        [
            "lb.yaml:3:94: services.0.health_check.fast_interval: fast_interval 10s must not be longer than interval 5s"
        ],
        id="check7",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_checks: [{type: udp, mask: {hex: ff}}, {type: exec, command: [ls]}, {type: file, path: x}]}
""",
        [
            "lb.yaml:3:87: services.0.health_checks.0.mask: mask has 1 bytes, expected as many as expect (0)",
            "lb.yaml:3:122: services.0.health_checks.1.command.0: expected the absolute path of a program",
            'lb.yaml:3:147: services.0.health_checks.2.path: expected an absolute path, found "x"',
        ],
        id="check8",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], health_check: tcp}
""",
        ['lb.yaml:3:67: services.0.health_check: expected a mapping with a type, found "tcp"'],
        id="check9",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], scheduler: '${NOPE}'}
""",
        [
            'lb.yaml:3:64: services.0.scheduler: environment variable NOPE is not set, set it or write "${NOPE:-default}"'
        ],
        id="env",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, weight: '${W}'}
""",
        [
            'lb.yaml:7:37: services.0.servers.0.weight: expected a whole number from 0 to 65535, found "abc"'
        ],
        id="env2",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], scheduler: '${'}
""",
        [
            'lb.yaml:3:64: services.0.scheduler: malformed environment reference, expected "${NAME}" or "${NAME:-default}" ("$$" for a dollar sign)'
        ],
        id="env3",
    ),
    pytest.param(
        """\
version: 1
services:
  - name:
    vip: 10.0.0.1
    port: 80
    servers:
""",
        [
            "lb.yaml:3:10: services.0.name: expected text, found nothing",
            "lb.yaml:6:13: services.0.servers: expected a list, found nothing",
        ],
        id="null",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], fwmark: 1, protocol: udp}
""",
        [
            "lb.yaml:3:30: services.0.port: a service told by fwmark has neither protocol nor ports, the firewall decides",
            "lb.yaml:3:64: services.0.protocol: a service told by fwmark has neither protocol nor ports, the firewall decides",
        ],
        id="fw",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], family: ipv4}
""",
        ["lb.yaml:3:53: services.0.family: family goes with fwmark only"],
        id="fam",
    ),
    pytest.param(
        """\
version: 1
services: [{name: a, fwmark: 0, servers: []}]\
""",
        ["lb.yaml:2:30: services.0.fwmark: expected a whole number from 1 to 4294967295, found 0"],
        id="fw0",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 224.0.0.1, port: 80, servers: [], }
""",
        ["lb.yaml:3:20: services.0.vip: 224.0.0.1 is not the address of a host"],
        id="vip",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: {address: 10.0.0.1, prefix: 64}, port: 80, servers: [], }
""",
        ["lb.yaml:3:48: services.0.vip.prefix: an IPv4 prefix has at most 32 bits, found 64"],
        id="vipp",
    ),
    pytest.param(
        """\
version: 1
services: [{name: a, servers: []}]\
""",
        [
            "lb.yaml:2:12: services.0.ports: a port to answer on is missing: port or ports",
            "lb.yaml:2:12: services.0.vips: an address to answer on is missing: vip or vips",
        ],
        id="novip",
    ),
    pytest.param(
        """\
version: 1
sync: [{role: master, interface: eth0}, {role: master, interface: a/b, id: 256}]\
""",
        [
            'lb.yaml:2:67: sync.1.interface: "a/b" is not an interface name, expected 1 to 15 characters',
            "lb.yaml:2:76: sync.1.id: expected a whole number from 0 to 255, found 256",
        ],
        id="sync",
    ),
    pytest.param(
        """\
version: 1
timeouts: {tcp: 0s, upd: 5s}\
""",
        [
            'lb.yaml:2:17: timeouts.tcp: expected 1s to 21474836s, found "0s"',
            'lb.yaml:2:21: timeouts.upd: unknown key, did you mean "udp"?',
        ],
        id="timeouts",
    ),
    pytest.param(
        """\
version: 1
daemon: {reconcile_interval: 500ms, drift: repare, watch: maybe}\
""",
        [
            'lb.yaml:2:30: daemon.reconcile_interval: expected 1s to 3600s, found "500ms"',
            'lb.yaml:2:44: daemon.drift: unknown action "repare", did you mean "repair"?',
            'lb.yaml:2:59: daemon.watch: expected yes or no, found "maybe"',
        ],
        id="daemon",
    ),
    pytest.param(
        """\
version: 1
daemon:
  reconcile_intervall: 10s
  reconcile_interval: 61m
""",
        [
            'lb.yaml:3:3: daemon.reconcile_intervall: unknown key, did you mean "reconcile_interval"?',
            'lb.yaml:4:23: daemon.reconcile_interval: expected 1s to 3600s, found "61m"',
        ],
        id="daemon-limits",
    ),
    pytest.param(
        """\
version: 1
daemon: 10s\
""",
        ['lb.yaml:2:9: daemon: expected a mapping, found "10s"'],
        id="daemon-not-a-mapping",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], quorum: {servers: 2, hysteresis: 2}}
""",
        ["lb.yaml:3:61: services.0.quorum: hysteresis 2 must be less than the quorum, 2"],
        id="quorum",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], panic_threshold: 150%}
""",
        [
            'lb.yaml:3:70: services.0.panic_threshold: expected a share such as 0.5 or "50%", found "150%"'
        ],
        id="panic",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    required: 2
    servers:
      - {address: 10.0.0.4, health_check: {type: tcp}}
""",
        ["lb.yaml:6:15: services.0.required: 2 checks required of a server that has 1"],
        id="req",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], forwarding: dr, source_nat: on}
""",
        ["lb.yaml:3:81: services.0.source_nat: source NAT is for masq, and no server has that"],
        id="snat",
    ),
    pytest.param(
        """\
version: 1
defaults:
  service: {allow: [10.0.0.0/8, "::1"]}
services:
  - {name: a, vip: 10.0.0.1, port: 80, servers: [], allow: 10.0.0.5/8}
  - {name: b, vip: 10.0.0.2, port: 80, servers: [], allow: [10.0.0.5, "2001:db8::/32"]}
  - {name: c, vip: 10.0.0.3, port: 80, servers: [], allow: []}
  - {name: d, vips: [10.0.0.4, "2001:db8::1"], port: 80, servers: [], allow: 10.0.0.0/9}
  - {name: e, fwmark: 4, servers: [], allow: [10.0.0.0/33, 10.0.0.0/x, 10.0.0.256, ""]}
  - {name: f, fwmark: 4, family: ipv6, servers: [], allow: ["::/0"]}
  - {name: g, vip: 10.0.0.7, port: 80, servers: []}
  - {name: h, vip: 10.0.0.8, port: 80, servers: [], allow: 5}
""",
        [
            'lb.yaml:5:60: services.0.allow: "10.0.0.5/8" is an address in a network: write 10.0.0.0/8 for the network, 10.0.0.5 for the address',
            "lb.yaml:6:71: services.1.allow.1: 2001:db8::/32 is ipv6, and no address of the service is",
            'lb.yaml:7:60: services.2.allow: no network, so nobody gets in; for everyone write 0.0.0.0/0 or "::/0"',
            "lb.yaml:8:78: services.3.allow: no ipv6 network, so nobody gets in over ipv6",
            'lb.yaml:9:47: services.4.allow.0: expected a network such as 10.0.0.0/8, or an address, found "10.0.0.0/33"',
            'lb.yaml:9:60: services.4.allow.1: expected a network such as 10.0.0.0/8, or an address, found "10.0.0.0/x"',
            'lb.yaml:9:72: services.4.allow.2: expected a network such as 10.0.0.0/8, or an address, found "10.0.0.256"',
            'lb.yaml:9:84: services.4.allow.3: expected a network such as 10.0.0.0/8, or an address, found ""',
            "lb.yaml:12:60: services.7.allow: expected a network such as 10.0.0.0/8, or an address, found 5",
        ],
        id="allow",
    ),
    pytest.param(
        """\
version: 1
include: x.yaml\
""",
        ["lb.yaml:2:10: include: a text that is not a file cannot include files"],
        id="inc",
    ),
    pytest.param(
        "version: 1\n\"a\\nb\": 1\n'': 2",
        [
            'lb.yaml:2:1: "a\\nb": unknown key, expected version, include, pools, services, defaults, timeouts, sync, daemon, api, hooks, networks, octavia, metrics, manage_sysctls or guard_vips',
            'lb.yaml:3:1: "": unknown key, expected version, include, pools, services, defaults, timeouts, sync, daemon, api, hooks, networks, octavia, metrics, manage_sysctls or guard_vips',
        ],
        id="weird",
    ),
    pytest.param(
        """\
version: 1
defaults: {service: {name: x, scheduler: rrr}, server: {wieght: 1}}
""",
        [
            "lb.yaml:2:22: defaults.service.name: unknown key, expected on_down, required, panic_threshold, quorum, slow_start, flap_damping, drain_timeout, vip_down_when, protocol, scheduler, flags, forwarding, tunnel, persistence, one_packet, source_nat, allow, health_check or health_checks",
            'lb.yaml:2:42: defaults.service.scheduler: unknown scheduler "rrr", did you mean "rr"?',
            'lb.yaml:2:57: defaults.server.wieght: unknown key, did you mean "weight"?',
        ],
        id="defaults",
    ),
    pytest.param(
        """\
version: 1
? [a]
: b
""",
        ["lb.yaml:2:3: document: a key must be plain text"],
        id="keylist",
    ),
    pytest.param(
        """\
version: 1
1: b
""",
        [
            "lb.yaml:2:1: 1: unknown key, expected version, include, pools, services, defaults, timeouts, sync, daemon, api, hooks, networks, octavia, metrics, manage_sysctls or guard_vips"
        ],
        id="ck",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, name: 'a b'}
""",
        [
            'lb.yaml:7:35: services.0.servers.0.name: "a b" is not a name, expected 1 to 100 letters, digits and any of . _ - : @ [ ]'
        ],
        id="names",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, disabled: maybe}
""",
        ['lb.yaml:7:39: services.0.servers.0.disabled: expected yes or no, found "maybe"'],
        id="bool",
    ),
    pytest.param(
        """\
# nothing
""",
        ["lb.yaml:1:1: version: required key is missing"],
        id="comment-only",
    ),
    pytest.param(
        "\ufeffversion: 1\nservices:\n\t- x\n",
        ["lb.yaml:3:1: syntax: a tab cannot indent or begin a value, use spaces"],
        id="bom-is-fine-but-tab-is-not",
    ),
    pytest.param(
        "version: 1\nservices: [\u2028]\n",
        ["lb.yaml:2:12: syntax: character U+2028 is not allowed, expected plain text"],
        id="line-separator",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vips:
      - 10.0.0.1
      - 10.0.0.1
    port: 80
    servers: []
""",
        ["lb.yaml:6:9: services.0.vips.1: address 10.0.0.1 is already given at lb.yaml:5:9"],
        id="vip-twice",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    vips: [10.0.0.2]
""",
        ["lb.yaml:7:5: services.0.vips: either vip or vips, not both"],
        id="vip-and-vips",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    ports: [81]
""",
        ["lb.yaml:7:5: services.0.ports: either port or ports, not both"],
        id="port-and-ports",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vips: []
    port: 80
    servers: []
""",
        ["lb.yaml:4:11: services.0.vips: an address to answer on is missing: vip or vips"],
        id="no-vips",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    ports: []
    servers: []
""",
        ["lb.yaml:5:12: services.0.ports: a port to answer on is missing: port or ports"],
        id="no-ports",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: {address: 10.0.0.1, interface: eth0}
    port: 80
    servers: []
  - name: b
    vip: {address: 10.0.0.1, managed: no}
    port: 81
    servers: []
""",
        ["lb.yaml:8:10: services.1.vip: address 10.0.0.1 has other settings at lb.yaml:4:10"],
        id="vip-settings",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: "fe80::1%eth0"
    port: 80
    servers: []
""",
        ['lb.yaml:4:10: services.0.vip: expected an IPv4 or IPv6 address, found "fe80::1%eth0"'],
        id="zone",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.01
    port: 80
    servers: []
""",
        ['lb.yaml:4:10: services.0.vip: expected an IPv4 or IPv6 address, found "10.0.0.01"'],
        id="zeros",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 5
    port: 80
    servers: []
""",
        ["lb.yaml:4:10: services.0.vip: expected an IPv4 or IPv6 address, found 5"],
        id="number-as-address",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 0
    servers: []
    persistence: off
""",
        ["lb.yaml:5:11: services.0.port: port 0, all ports, needs persistence"],
        id="port-zero-persistence-off",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    persistence: {netmask: 255.255.255.0, prefix: 24}
""",
        ["lb.yaml:7:43: services.0.persistence.prefix: either netmask or prefix, not both"],
        id="mask-and-prefix",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    persistence: {prefix: 64}
""",
        [
            "lb.yaml:7:27: services.0.persistence.prefix: an IPv4 prefix has at most 32 bits, found 64"
        ],
        id="long-prefix",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: "2001:db8::1"
    port: 80
    servers: []
    persistence: {netmask: 255.255.255.0}
""",
        [
            "lb.yaml:7:28: services.0.persistence.netmask: an ipv6 service has a prefix instead of a netmask"
        ],
        id="mask6",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vips: [10.0.0.1, "2001:db8::1"]
    port: 80
    servers: []
    persistence: 60s
    forwarding: tunnel
""",
        [
            "lb.yaml:7:18: services.0.persistence: a persistent service has addresses of one family, declare two services that share a pool"
        ],
        id="two-families-persistent",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    tunnel: {type: gue, port: 5}
""",
        ["lb.yaml:7:13: services.0.tunnel: no server has forwarding tunnel"],
        id="tunnel-service",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    forwarding: tunnel
    tunnel: {checksum: csum}
""",
        ["lb.yaml:8:24: services.0.tunnel.checksum: ipip tunnels have no csum, expected none"],
        id="ipip-checksum",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, fwmark: 1, family: ipv6, vip: 10.0.0.1, servers: []}
""",
        ["lb.yaml:3:45: services.0.vip: the addresses of an ipv6 fwmark service must be ipv6"],
        id="fwmark-family",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, fwmark: 1, forwarding: dr, servers: [{address: 10.0.0.4, port: 80}]}
""",
        [
            "lb.yaml:3:78: services.0.servers.0.port: with dr the server's port is the service's own, only masq can map to 80"
        ],
        id="fwmark-dr-port",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, fwmark: 1, servers: []}
  - {name: b, fwmark: 1, servers: []}
""",
        ["lb.yaml:4:5: services.1: virtual service fwmark/1 is already declared at lb.yaml:3:5"],
        id="fwmark-twice",
    ),
    pytest.param(
        """\
version: 1
sync: [{role: master, interface: eth0}]
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    forwarding: tunnel
    servers: [{address: 2001:db8::1}]
""",
        [
            "lb.yaml:4:5: services.0: a service that mixes families cannot go with sync, the kernel refuses that"
        ],
        id="sync-mixed",
    ),
    pytest.param(
        """\
version: 1
sync:
  - {role: master, interface: eth0}
  - {role: master, interface: eth1}
  - {role: spare, interface: eth1, group: 10.0.0.1}
""",
        [
            'lb.yaml:5:12: sync.2.role: unknown role "spare", expected master or backup',
            'lb.yaml:5:43: sync.2.group: expected a multicast address, found "10.0.0.1"',
        ],
        id="sync-twice",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: [{address: 10.0.0.4}]
    quorum: 2
""",
        ["lb.yaml:7:13: services.0.quorum: a quorum regained at 2 needs as many servers, found 1"],
        id="quorum-unreachable",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    flap_damping: {changes: 3, window: 1m, hold: 2m, max_hold: 1m}
""",
        ["lb.yaml:7:19: services.0.flap_damping: max_hold must not be shorter than hold"],
        id="flap",
    ),
    pytest.param(
        """\
version: 1
pools: [a]
""",
        ["lb.yaml:2:8: pools: expected a mapping of names to pools, found a list"],
        id="pools-list",
    ),
    pytest.param(
        """\
version: 1
pools: {a: [x]}
""",
        ["lb.yaml:2:12: pools.a: expected a mapping with servers, found a list"],
        id="pool-list",
    ),
    pytest.param(
        """\
version: 1
pools:
  a b: {servers: []}
""",
        [
            'lb.yaml:3:3: pools."a b": "a b" is not a name, expected 1 to 100 letters, digits and any of . _ - : @ [ ]'
        ],
        id="pool-name",
    ),
    pytest.param(
        """\
version: 1
pools:
  web:
    servers:
      - {address: 10.0.0.4, wieght: 1}
      - address
""",
        [
            'lb.yaml:5:29: pools.web.servers.0.wieght: unknown key, did you mean "weight"?',
            'lb.yaml:6:9: pools.web.servers.1: expected a mapping with an address, found "address"',
        ],
        id="pool-server",
    ),
    pytest.param(
        """\
version: 1
pools:
  web:
    servers: [{address: 10.0.0.4, port: 81}]
services:
  - {name: a, vip: 10.0.0.1, port: 80, forwarding: dr, pool: web}
""",
        [
            "lb.yaml:4:41: pools.web.servers.0.port: with dr the server's port is the service's own, only masq can map to 81"
        ],
        id="pool-port-under-dr",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vip: 10.0.0.1, port: 80, pool: web}
""",
        ['lb.yaml:3:46: services.0.pool: unknown pool "web", there are no pools'],
        id="no-such-pool",
    ),
    pytest.param(
        """\
version: 1
services: {a: 1}
""",
        ["lb.yaml:2:11: services: expected a list of services, found a mapping"],
        id="services-mapping",
    ),
    pytest.param(
        """\
version: 1
services: [a]
""",
        ['lb.yaml:2:12: services.0: expected a mapping, found "a"'],
        id="service-text",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: a
""",
        ['lb.yaml:6:14: services.0.servers: expected a list, found "a"'],
        id="servers-text",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: [{name: x}]
""",
        ["lb.yaml:6:15: services.0.servers.0.address: required key is missing"],
        id="server-name-missing-address",
    ),
    pytest.param(
        """\
version: 1
services:
  - vip: 10.0.0.1
    port: 80
    servers: [{address: 10.0.0.4, wieght: 1}]
""",
        [
            "lb.yaml:3:5: services.0.name: required key is missing",
            'lb.yaml:5:35: services.0.servers.0.wieght: unknown key, did you mean "weight"?',
        ],
        id="service-name-missing",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: tcp}
    health_checks: []
""",
        ["lb.yaml:8:5: services.0.health_checks: either health_check or health_checks, not both"],
        id="both-checks",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_checks: {type: tcp}
""",
        [
            "lb.yaml:7:20: services.0.health_checks: expected a list of health checks, found a mapping"
        ],
        id="checks-mapping",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: [tcp]}
""",
        [
            "lb.yaml:7:26: services.0.health_check.type: expected tcp, http, https, tls, udp, sctp, dns, ping, smtp, grpc, redis, mysql, postgres, exec, file or agent, found a list"
        ],
        id="check-type-list",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: https, tls: {key: /k.pem}}
""",
        [
            "lb.yaml:7:44: services.0.health_check.tls.key: a key needs its certificate, which is not given"
        ],
        id="check-key",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: http, headers: {'a b': c, d: [e]}}
""",
        [
            'lb.yaml:7:49: services.0.health_check.headers."a b": "a b" is not a word HTTP allows here',
            "lb.yaml:7:55: services.0.health_check.headers.d: expected text, found a list",
        ],
        id="headers",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: exec, command: []}
""",
        ["lb.yaml:7:41: services.0.health_check.command: expected at least one item, found none"],
        id="empty-command",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: udp, payload: {hex: abc}}
""",
        [
            'lb.yaml:7:40: services.0.health_check.payload: expected pairs of hex digits, found "abc"'
        ],
        id="hex-odd",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: udp, payload: {hax: abc}}
""",
        [
            "lb.yaml:7:40: services.0.health_check.payload: expected text or {hex: 00ff}, found a mapping"
        ],
        id="hex-key",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: http, path: health, method: 'G T'}
""",
        [
            'lb.yaml:7:38: services.0.health_check.path: expected a path such as /health, found "health"',
            'lb.yaml:7:54: services.0.health_check.method: "G T" is not a word HTTP allows here',
        ],
        id="http-path",
    ),
    pytest.param(
        "version: 1\nservices:\n  - name: a\n    vip: 10.0.0.1\n    port: 80\n    servers: []\n    health_check: {type: http, body_regex: '"
        + "x" * 501
        + "'}\n",
        [
            "lb.yaml:7:44: services.0.health_check.body_regex: a regular expression has at most 500 characters, found 501"
        ],
        id="long-regex",
    ),
    pytest.param(
        """\
version: 1
defaults:
  health_check: {timeout: 20s, interval: 60s}
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: tcp, interval: 10s}
""",
        [
            "lb.yaml:9:41: services.0.health_check.interval: timeout 20s must be shorter than interval 10s"
        ],
        id="default-timeout",
    ),
    pytest.param(
        """\
version: 1
defaults:
  service:
    health_check: {type: htpp}
    persistence: 5
""",
        [
            'lb.yaml:4:26: defaults.service.health_check.type: unknown type "htpp", did you mean "http"?',
            'lb.yaml:5:18: defaults.service.persistence: a duration needs a unit, write "5s" (units: ms, s, m, h, d)',
        ],
        id="defaults-check",
    ),
    pytest.param(
        """\
version: 1
defaults:
  health_check: {type: tcp}
""",
        [
            "lb.yaml:3:18: defaults.health_check.type: unknown key, expected interval, fast_interval, timeout, rise, fall, source, mark or via"
        ],
        id="defaults-check-type",
    ),
    pytest.param(
        """\
version: 1
defaults: [a]
""",
        ["lb.yaml:2:11: defaults: expected a mapping, found a list"],
        id="defaults-list",
    ),
    pytest.param(
        """\
version: 1
timeout: {}
""",
        ['lb.yaml:2:1: timeout: unknown key, did you mean "timeouts"?'],
        id="included-only",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    ports: [80, 79-81]
    servers: []
""",
        ["lb.yaml:5:17: services.0.ports.1: port 80 is already given at lb.yaml:5:13"],
        id="ports-twice",
    ),
    pytest.param(
        """\
version: 1
services:
  - {name: a, vips: [10.0.0.1, 10.0.0.2, 10.0.0.3], ports: 1-65535, servers: []}
""",
        ["lb.yaml:3:60: services.0.ports: more than 131072 pairs of address and port"],
        id="too-many",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    health_check: {type: tcp, interval: 5 seconds, rise: 0, fall: 1.5}
""",
        [
            'lb.yaml:7:41: services.0.health_check.interval: expected a duration such as 60s, 500ms or 1h30m, found "5 seconds"',
            "lb.yaml:7:58: services.0.health_check.rise: expected a whole number from 1 to 1000, found 0",
            'lb.yaml:7:67: services.0.health_check.fall: expected a whole number from 1 to 1000, found "1.5"',
        ],
        id="interval-units",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers: []
    drain_timeout: 1000d
""",
        ['lb.yaml:7:20: services.0.drain_timeout: expected 0s to 7d, found "1000d"'],
        id="drain",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, weight: 1.5}
""",
        [
            'lb.yaml:7:37: services.0.servers.0.weight: expected a whole number from 0 to 65535, found "1.5"'
        ],
        id="float-weight",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, weight: -1}
""",
        [
            "lb.yaml:7:37: services.0.servers.0.weight: expected a whole number from 0 to 65535, found -1"
        ],
        id="neg-weight",
    ),
    pytest.param(
        "version: 1\nservices:\n  - name: a\n    vip: 10.0.0.1\n    port: 80\n    servers:\n      - {address: 10.0.0.4, weight: "
        + "9" * 5000
        + "}\n",
        [
            'lb.yaml:7:37: services.0.servers.0.weight: expected a whole number from 0 to 65535, found "999999999999999999999999999999999999999999999999999999999999..."'
        ],
        id="huge",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, disabled: [a]}
""",
        ["lb.yaml:7:39: services.0.servers.0.disabled: expected yes or no, found a list"],
        id="bool-text",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, backup: 101}
""",
        [
            "lb.yaml:7:37: services.0.servers.0.backup: expected yes, no or a tier from 0 to 100, found 101"
        ],
        id="tier",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, port: 8080, forwarding: local}
""",
        [
            "lb.yaml:7:35: services.0.servers.0.port: with local the server's port is the service's own, only masq can map to 8080"
        ],
        id="localport",
    ),
    pytest.param(
        'version: 1\nservices:\n  - name: a\n    vip: 10.0.0.1\n    port: 80\n    servers:\n      - {address: 10.0.0.4, name: "a\\u0007b"}\n',
        [
            'lb.yaml:7:35: services.0.servers.0.name: "a\\u0007b" is not a name, expected 1 to 100 letters, digits and any of . _ - : @ [ ]'
        ],
        id="unprintable",
    ),
    pytest.param(
        'version: 1\n"\\u2028": 1\n',
        [
            'lb.yaml:2:1: "\\u2028": unknown key, expected version, include, pools, services, defaults, timeouts, sync, daemon, api, hooks, networks, octavia, metrics, manage_sysctls or guard_vips'
        ],
        id="escaped-key",
    ),
    pytest.param(
        """\
version: 1
services:
  - name: a
    vip: 10.0.0.1
    port: 80
    servers:
      - {address: 10.0.0.4, name: '${A-b}'}
""",
        [
            'lb.yaml:7:35: services.0.servers.0.name: malformed environment reference, expected "${NAME}" or "${NAME:-default}" ("$$" for a dollar sign)'
        ],
        id="broken-reference",
    ),
]


@pytest.mark.parametrize(("text", "problems"), RULES)
def test_what_is_wrong_is_told_with_its_place(text: str, problems: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        loads(text, name="lb.yaml", environ={"W": "abc"})
    assert list(refused.value.problems) == problems
