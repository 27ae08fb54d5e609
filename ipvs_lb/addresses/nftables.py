"""Our source-NAT rules in the kernel: one table per family, all of it ours, replaced as a whole.

Other tables are not looked at. IPVS connections are seen by these rules with `net.ipv4.vs.conntrack=1`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from ipvs_lb.errors import HostError
from ipvs_lb.model.host import SourceNatRule

TABLE = "ipvs_lb"
_CHAIN = {"name": "postrouting", "type": "nat", "hook": "postrouting", "prio": 100}
_FAMILIES = {4: "ip", 6: "ip6"}
_SECONDS = 30.0
_NOT_OURS = (AttributeError, KeyError, TypeError, ValueError)  # JSON of another shape than ours
_NO_SUPPORT = "this kernel lacks nf_tables with NAT; without it say `source_nat: off`"


def read() -> frozenset[SourceNatRule]:
    """Our rules, as they are in force; none where there is no nft or no kernel support.

    A table with anything in it that is not ours to write counts as empty, so that it is written anew.
    Raises HostError when the rules cannot be looked at.
    """
    program = _program()
    if program is None:
        return frozenset()
    return frozenset(
        rule
        for family in _present(program)
        for rule in parse(_run(program, "-j", "list", "table", family, TABLE).stdout)
    )


def replace(rules: frozenset[SourceNatRule]) -> None:
    """Have exactly *rules* in force, or with an error the old ones. Raises HostError."""
    program = _program()
    if program is None:
        if rules:
            raise HostError("source NAT needs the nft program", hint="apt install nftables")
        return
    families = _present(program) | {_FAMILIES[rule.vip.version] for rule in rules}
    if families:
        answer = _run(program, "-f", "-", script=render(rules, families))
        _check(answer, "set source NAT")


def render(rules: Iterable[SourceNatRule], families: Iterable[str]) -> str:
    """The nft script that makes *rules* all there is in our tables of *families*, in one transaction."""
    shown = sorted(rules, key=lambda rule: (rule.vip.version, int(rule.vip), rule.subnet))
    lines = []
    for family in sorted(families):
        lines += [f"add table {family} {TABLE}", f"delete table {family} {TABLE}"]
        own = [rule for rule in shown if _FAMILIES[rule.vip.version] == family]
        if own:
            lines += _table(family, own)
    return "\n".join(lines) + "\n"


def _table(family: str, rules: list[SourceNatRule]) -> Iterator[str]:
    yield f"table {family} {TABLE} {{"
    yield "  chain postrouting {"
    yield "    type nat hook postrouting priority 100; policy accept;"
    for rule in rules:
        yield (f"    ct original {family} daddr {rule.vip} {family} saddr {rule.subnet} masquerade")
    yield "  }"
    yield "}"


def parse(listing: str) -> frozenset[SourceNatRule]:
    """The rules in the JSON of `nft -j list table`; none when there is anything else in it."""
    try:
        rules = [_entry(kind, entry) for kind, entry in _entries(listing)]
    except _NOT_OURS:
        return frozenset()
    return frozenset(rule for rule in rules if rule is not None)


def _entries(listing: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for wrapped in json.loads(listing)["nftables"]:
        yield from wrapped.items()


def _entry(kind: str, entry: dict[str, Any]) -> SourceNatRule | None:
    """The rule of one entry, None for what frames it. Raises one of `_NOT_OURS` for all else."""
    if kind in {"metainfo", "table"}:
        return None
    if kind == "chain" and entry.items() >= _CHAIN.items():
        return None
    if kind != "rule":
        raise ValueError(kind)
    to, source, verdict = entry["expr"]
    family = entry["family"]
    if to["match"]["left"] != {"ct": {"key": f"{family} daddr", "dir": "original"}}:
        raise ValueError(to)
    if source["match"]["left"] != {"payload": {"protocol": family, "field": "saddr"}}:
        raise ValueError(source)
    if verdict != {"masquerade": None} or {to["match"]["op"], source["match"]["op"]} != {"=="}:
        raise ValueError(verdict)
    return SourceNatRule(ip_address(to["match"]["right"]), _network(source["match"]["right"]))


def _network(right: str | dict[str, Any]) -> str:
    """An ip_network's text from nft's address or `{"prefix": ...}`."""
    if isinstance(right, str):
        return str(ip_network(right))
    return str(ip_network((right["prefix"]["addr"], right["prefix"]["len"])))


def _program() -> str | None:
    return shutil.which("nft", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _present(program: str) -> set[str]:
    """The families in which our table is there; none without kernel support."""
    answer = _run(program, "-j", "list", "tables")
    if "not permitted" in answer.stderr:
        _check(answer, "read source NAT")
    if answer.returncode != 0:
        return set()
    try:
        tables = [entry for kind, entry in _entries(answer.stdout) if kind == "table"]
        ours = {table["family"] for table in tables if table["name"] == TABLE}
    except _NOT_OURS as error:
        raise HostError("nft lists its tables in a form that is not known") from error
    return ours & {*_FAMILIES.values()}


def _check(answer: subprocess.CompletedProcess[str], action: str) -> None:
    if answer.returncode == 0:
        return
    lines = answer.stderr.strip().splitlines() or [f"nft exited with {answer.returncode}"]
    hint = "run as root or grant CAP_NET_ADMIN" if "permitted" in answer.stderr else _NO_SUPPORT
    reason = lines[0].rpartition("Error: ")[2]  # behind the place in the script
    raise HostError(f"{action}: {reason}", hint=hint)


def _run(program: str, *arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  # our own arguments, no shell
            [program, *arguments],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"nft {' '.join(arguments)} took longer than {_SECONDS:g} s") from error
    except OSError as error:
        raise HostError(f"cannot run {program}: {error.strerror}") from error
