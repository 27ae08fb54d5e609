"""Our firewall in the kernel, by way of the nft program: replaced as a whole, in one transaction.

Other tables are not looked at. Source NAT sees the connections of IPVS with `net.ipv4.vs.conntrack=1`.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from ipvs_lb.addresses import ruleset
from ipvs_lb.addresses.expressions import FAMILIES
from ipvs_lb.errors import HostError
from ipvs_lb.model.firewall import Firewall

_SECONDS = 30.0
_SOURCE_NAT = "this kernel lacks nf_tables with NAT; without it say `source_nat: off`"
_ALLOW = "this kernel lacks nf_tables, and without it nobody is kept out as `allow` asks for"
_GUARD = "this kernel lacks nf_tables; without it say `guard_vips: no`, and `guard: no` on VIPs"


def read() -> Firewall:
    """Our rules, as they are in force; none where there is no nft or no kernel support.

    A table with anything in it that is not ours to write counts as empty, so that it is written anew.
    Raises HostError when the rules cannot be looked at.
    """
    program = _program()
    if program is None:
        return Firewall()
    tables = [
        ruleset.parse(_run(program, "-j", "list", "table", family, ruleset.TABLE).stdout)
        for family in _present(program)
    ]
    return Firewall(
        source_nat=frozenset(rule for table in tables for rule in table.source_nat),
        access=frozenset(rule for table in tables for rule in table.access),
        guarded=frozenset(vip for table in tables for vip in table.guarded),
        opened=frozenset(key for table in tables for key in table.opened),
    )


def replace(firewall: Firewall) -> None:
    """Have exactly *firewall* in force, or with an error what was before. Raises HostError."""
    program = _program()
    if program is None:
        if firewall:
            what, _ = _purpose(firewall)
            raise HostError(f"{what} needs the nft program", hint="apt install nftables")
        return
    families = _present(program) | ruleset.needed(firewall)
    if families:
        answer = _run(program, "-f", "-", script=ruleset.render(firewall, families))
        _check(answer, "set firewall", _purpose(firewall)[1])


def _purpose(firewall: Firewall) -> tuple[str, str]:
    """What *firewall* is for, above all, and what a kernel that lacks it means."""
    if firewall.access:
        return "to allow some clients only", _ALLOW
    if firewall.guarded:
        return "a guard of VIPs", _GUARD
    return "source NAT", _SOURCE_NAT


def _program() -> str | None:
    return shutil.which("nft", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _present(program: str) -> set[str]:
    """The families in which our table is there; none without kernel support."""
    answer = _run(program, "-j", "list", "tables")
    if "not permitted" in answer.stderr:
        _check(answer, "read firewall")
    if answer.returncode != 0:
        return set()
    try:
        tables = [entry for kind, entry in ruleset.entries(answer.stdout) if kind == "table"]
        ours = {table["family"] for table in tables if table["name"] == ruleset.TABLE}
    except ruleset.STRANGE as error:
        raise HostError("nft lists its tables in a form that is not known") from error
    return ours & FAMILIES.keys()


def _check(answer: subprocess.CompletedProcess[str], action: str, hint: str = "") -> None:
    if answer.returncode == 0:
        return
    lines = answer.stderr.strip().splitlines() or [f"nft exited with {answer.returncode}"]
    if "permitted" in answer.stderr:
        hint = "run as root or grant CAP_NET_ADMIN"
    reason = lines[0].rpartition("Error: ")[2]  # behind the place in the script
    raise HostError(f"{action}: {reason}", hint=hint or None)


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
