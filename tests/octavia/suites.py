"""What other projects have to test a load-balancing API with, run against this one.

    python -m tests.octavia.suites http://127.0.0.1:9876 [tempest] [gophercloud] [sdk]

tempest: the API tests of octavia-tempest-plugin; listeners and others are its two parts, the first of which restricts
clients, for which a gateway needs nftables. gophercloud: its acceptance tests of load balancing, but for the one
that begins with layer 7. sdk: openstacksdk's way through `sdk_walkthrough.py`. The API has `auth: none`, and nothing in
it; the programs are where `scripts/conformance` puts them. Whatever is not refused with 501 has to pass.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.octavia.network_front import fronted

LEAST_PASSED = {"others": 355, "listeners": 45}
"""Of the parts of octavia-tempest-plugin's tests; what is skipped is of layer 7 or of another kind of load balancer."""
LAYER_7 = frozenset({"TestLoadbalancersCRUD"})
"""It inserts headers and makes policies before anything else."""
ALL = "octavia_tempest_plugin.tests.api"
PARTS = {"others": rf"{ALL}(?!.*\.test_listener\.)", "listeners": rf"{ALL}.*\.test_listener\."}
SDK = Path(__file__).with_name("sdk_walkthrough.py")
SDK_FINDS: Mapping[str, object] = {
    "first": "PENDING_CREATE",
    "last": "ACTIVE",
    "listeners": ["web"],
    "weights": {"10.0.0.4": 1, "10.0.0.6": 3},
    "monitor": "/health",
    "nobody": None,
    "provider": ["ipvs"],
    "connections": 0,
}
"""What the walkthrough tells, beside the VIP."""
_ROLES = (
    "admin",
    "admin",
    "member",
    "member",
    "member",
    "reader",
    *["load-balancer_member, member"] * 4,
    *["load-balancer_admin"] * 2,
    "load-balancer_observer, reader",
    "load-balancer_global_observer, reader",
)
_TEMPEST = """\
[DEFAULT]
log_file = tempest.log
[auth]
use_dynamic_credentials = False
test_accounts_file = {place}/etc/accounts.yaml
[identity]
uri_v3 = {origin}/identity/v3
auth_version = v3
region = RegionOne
[service_available]
nova = True
glance = True
swift = False
cinder = False
neutron = True
load_balancer = True
[network]
project_networks_reachable = True
[oslo_concurrency]
lock_path = {place}/lock
[validation]
run_validation = False
[load_balancer]
test_network_override = {network}
test_with_ipv6 = False
RBAC_test_type = none
log_user_roles = False
provider = ipvs
enabled_provider_drivers = ipvs:Layer 4 in the kernel of this gateway (IPVS).
check_interval = 0.05
check_timeout = 60
build_interval = 0.05
build_timeout = 60
lb_build_interval = 0.05
lb_build_timeout = 60
[loadbalancer-feature-enabled]
not_implemented_is_error = False
l7_protocol_enabled = False
terminated_tls_enabled = False
prometheus_listener_enabled = False
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one suite; the names of tests that failed, or what else went wrong."""

    suite: str
    passed: int
    skipped: int
    failed: tuple[str, ...]

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.skipped} skipped, {len(self.failed)} failed"
        return "\n".join([f"{self.suite}: {counts}", *(f"  {name}" for name in self.failed)])


def client_of(generation: str) -> Path:
    """The environment that has OpenStack's clients of a generation, and with those of today its tests."""
    variable, usual, program = {
        "today": ("IPVS_LB_OPENSTACK", "openstack-today", "bin/tempest"),
        "debian-12": ("IPVS_LB_OPENSTACK_OLD", "openstack-old", "bin/openstack"),
    }[generation]
    return _place(variable, usual, program, "scripts/clients")


def _place(variable: str, usual: str, program: str, script: str) -> Path:
    place = Path(os.environ.get(variable) or Path.home() / ".cache" / "ipvs-lb" / usual)
    assert (place / program).exists(), f"no {program} in {place}: {script} puts it there"
    return place


def tempest(origin: str) -> Outcome:
    """All tests."""
    return tempest_only(origin, ALL, sum(LEAST_PASSED.values()))


def tempest_part(name: str, origin: str) -> Outcome:
    """One of `PARTS`."""
    return replace(tempest_only(origin, PARTS[name], LEAST_PASSED[name]), suite=f"tempest, {name}")


def tempest_only(origin: str, only: str, least: int) -> Outcome:
    """The tests whose names match *only*, of which at least so many have to pass."""
    program = str(client_of("today") / "bin" / "tempest")
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site")
        environment = {**os.environ, "HOME": folder}  # tempest notes its workspaces there
        subprocess.run(
            [program, "init", str(site)], env=environment, capture_output=True, check=True
        )
        text = _TEMPEST.format(place=site, origin=origin, network=_network(origin))
        (site / "etc" / "tempest.conf").write_text(text)
        (site / "etc" / "accounts.yaml").write_text("".join(_accounts()))
        words = [program, "run", "--serial", "--regex", only]
        said = list(_lines(words, environment, site))
    return _tempest_outcome(said, least)


def _accounts() -> Iterator[str]:
    """Any account is let in, and all are one project: their roles only tell tempest which to take for what."""
    for number, roles in enumerate(_ROLES):
        types = ", types: [admin]" if roles == "admin" else ""
        yield f"- {{username: user{number}, project_name: demo, password: any, roles: [{roles}]{types}}}\n"


def _network(origin: str) -> str:
    with urllib.request.urlopen(f"{origin}/v2.0/networks") as answer:
        networks: list[Any] = json.load(answer)["networks"]
    return next(str(one["id"]) for one in networks if not one["router:external"])


def _tempest_outcome(said: Sequence[str], least: int) -> Outcome:
    counts = {
        word: int(number)
        for line in said
        for word, number in re.findall(r"^ - (Passed|Skipped|Failed): +(\d+)", line)
    }
    failed = [line.split()[1] for line in said if line.startswith("{") and "... FAILED" in line]
    failed += [line for line in said if line.startswith(("setUpClass", "tearDownClass"))]
    if counts.get("Failed") != len(failed):
        failed.append(f"{counts.get('Failed', 'all')} failed, says tempest")
    if (passed := counts.get("Passed", 0)) < least:
        failed.append(f"{passed} passed of at least {least}")
    return Outcome(
        suite="tempest", passed=passed, skipped=counts.get("Skipped", 0), failed=tuple(failed)
    )


def gophercloud(origin: str) -> Outcome:
    """The acceptance tests that are not of layer 7."""
    place = _place("IPVS_LB_GOPHERCLOUD", "gophercloud", "acceptance", "scripts/conformance")
    program = str(place / "acceptance")
    listed = subprocess.run(
        [program, "-test.list", "."], capture_output=True, text=True, check=True
    )
    wanted = sorted({*listed.stdout.split()} - LAYER_7)
    with fronted(origin) as front:
        known = {
            "OS_AUTH_URL": f"{front}/identity/v3",
            "OS_USERNAME": "admin",
            "OS_PASSWORD": "any",
            "OS_PROJECT_NAME": "demo",
            "OS_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": "RegionOne",
        }
        words = [program, "-test.v", "-test.run", f"^({'|'.join(wanted)})$"]
        said = list(_lines(words, {**os.environ, **known}))
    found = [match for line in said if (match := re.match(r"--- (PASS|FAIL|SKIP): (\w+)", line))]
    ended = {match[2]: match[1] for match in found}
    return Outcome(
        suite="gophercloud",
        passed=[*ended.values()].count("PASS"),
        skipped=[*ended.values()].count("SKIP"),
        failed=tuple(one for one in wanted if ended.get(one, "FAIL") == "FAIL"),
    )


def sdk(origin: str) -> Outcome:
    """The walkthrough, there and back."""
    words = [str(client_of("today") / "bin" / "python"), "-I", str(SDK)]
    known = {**os.environ, "OS_AUTH_TYPE": "none", "OS_ENDPOINT": origin}
    said = [*_lines(words, known), *_lines([*words, "delete"], known)]
    found = json.loads(said[0]) if said and said[0].startswith("{") else {}
    wrong = tuple(
        f"{name}: {found.get(name)!r}, not {value!r}"
        for name, value in SDK_FINDS.items()
        if name not in found or found[name] != value
    )
    return Outcome(
        suite="sdk", passed=len(SDK_FINDS) - len(wrong), skipped=0, failed=(*wrong, *said[1:])
    )


def _lines(
    words: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> Iterator[str]:
    """What a program says, told to whoever watches as well."""
    with subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
            yield line.rstrip("\n")


WHOLE: Mapping[str, Callable[[str], Outcome]] = {
    "sdk": sdk,
    "gophercloud": gophercloud,
    "tempest": tempest,
}
SUITES: Mapping[str, Callable[[str], Outcome]] = {
    **WHOLE,
    **{name: partial(tempest_part, name) for name in PARTS},
}


def run(origin: str, names: Iterable[str]) -> bool:
    """Run the suites of those names, or all, and tell; whether everything passed."""
    outcomes = [SUITES[name](origin) for name in names or WHOLE]
    sys.stdout.write("".join(f"{one}\n" for one in outcomes))
    return not any(one.failed for one in outcomes)


def main() -> int:
    """0 when everything passed."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("origin", metavar="BASE_URL", help="such as http://127.0.0.1:9876")
    arguments.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    given = arguments.parse_args()
    if unknown := {*given.suites} - SUITES.keys():
        arguments.error(f"there are only {', '.join(SUITES)}, no {', '.join(sorted(unknown))}")
    return 0 if run(given.origin, given.suites) else 1


if __name__ == "__main__":
    sys.exit(main())
