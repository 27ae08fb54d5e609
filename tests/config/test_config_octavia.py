"""The blocks `octavia` and `networks`: what they mean, and what is refused and where."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from ipvs_lb.config import loads
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.cloud import AddressRange, Identification, OctaviaSettings
from ipvs_lb.model.host import SourceNat

NETWORKS = """\
networks:
  - name: net
    subnets:
      - {name: sub, cidr: 10.0.0.0/24, gateway: 10.0.0.1, pools: [10.0.0.3-10.0.0.9, 10.0.0.20]}
"""


def load(octavia: str, networks: str = NETWORKS) -> OctaviaSettings | None:
    text = f"version: 1\n{networks}octavia: {octavia}\n"
    return loads(text, name="lb.yaml", environ={}).octavia


def problems(octavia: str, networks: str = NETWORKS) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(octavia, networks)
    return list(caught.value.problems)


def test_there_is_no_such_api_unless_it_is_said():
    assert loads("version: 1").octavia is None
    assert loads(f"version: 1\n{NETWORKS}").octavia is None


def test_the_block_means_what_it_says():
    settings = load(
        "{address: 10.0.0.2, port: 9999, certificate: /c, key: /k, users: /u, project_name: demo, project_id: p-1,"
        " token_lifetime: 2h, source_nat: off, region: here, file_services: no, quotas: {pool: 3, member: -1}}"
    )
    assert settings is not None
    assert str(settings.listener) == "10.0.0.2:9999"
    assert (settings.listener.certificate, settings.listener.key) == ("/c", "/k")
    assert settings.identification is Identification.PASSWORD
    assert (settings.users, settings.project_name, settings.project_id) == ("/u", "demo", "p-1")
    assert (settings.token_lifetime, settings.region) == (7200, "here")
    assert (settings.source_nat, settings.file_services) == (SourceNat.OFF, False)
    assert settings.limits == {"pool": 3, "member": -1}
    (network,) = settings.networks
    (subnet,) = network.subnets
    assert (network.name, network.external, subnet.network_id) == ("net", False, network.id)
    assert (subnet.cidr, subnet.gateway) == (ip_network("10.0.0.0/24"), ip_address("10.0.0.1"))
    assert subnet.pools == (
        AddressRange(ip_address("10.0.0.3"), ip_address("10.0.0.9")),
        AddressRange(ip_address("10.0.0.20"), ip_address("10.0.0.20")),
    )


def test_little_has_to_be_said_on_a_loopback_address():
    settings = load("{auth: none}")
    assert settings is not None
    assert str(settings.listener) == "127.0.0.1:9876"
    assert (settings.source_nat, settings.limits) == (SourceNat.AUTO, {})
    assert len(settings.project_id) == 32
    assert settings.file_services
    assert load("{auth: none}") == settings
    assert not list(settings.listener.flaws())


def test_a_unix_socket_needs_no_passwords():
    settings = load("{socket: /run/ipvs-lb/octavia.sock, auth: none}")
    assert settings is not None
    assert str(settings.listener) == "/run/ipvs-lb/octavia.sock"
    assert not list(settings.listener.flaws())
    api = "api: {listen: [{address: 127.0.0.1, port: 9876, token: x}]}\n"
    assert load("{socket: /s, users: /u}", api + NETWORKS) is not None


@pytest.mark.parametrize(
    ("octavia", "expected"),
    [
        ("{}", ["6:10: octavia.users: it must know who asks: users or token_file is missing"]),
        (
            "{address: 10.0.0.2, auth: none}",
            [
                "6:30: octavia.auth: everybody may do everything: that is for a loopback address only"
            ],
        ),
        (
            "{address: 0.0.0.0, users: /u}",
            [
                "6:10: octavia.certificate: required key is missing: without TLS passwords go to a loopback address only"
            ],
        ),
        (
            "{users: /u, key: /k}",
            ["6:22: octavia.key: a key goes with a certificate, which is missing"],
        ),
        (
            "{socket: /s, address: 127.0.0.1, port: 99, users: /u}",
            [
                "6:23: octavia.address: either socket or address, not both",
                "6:43: octavia.port: either socket or port, not both",
            ],
        ),
        ("{auth: none, users: /u}", ["6:23: octavia.users: users goes with auth: password"]),
        (
            "{auth: none, token_lifetime: 1s}",
            ['6:39: octavia.token_lifetime: expected 60s to 7d, found "1s"'],
        ),
        (
            "{auth: none, project_id: a/b}",
            [
                '6:35: octavia.project_id: expected at most 36 letters, digits and _ . -, found "a/b"'
            ],
        ),
        (
            "{auth: none, quotas: {l7policy: 1}}",
            [
                "6:32: octavia.quotas.l7policy: unknown key, expected loadbalancer, listener, pool, member or"
                " healthmonitor"
            ],
        ),
    ],
)
def test_what_does_not_go_together_is_told_with_its_place(octavia, expected):
    found = problems(octavia)
    assert [one.removeprefix("lb.yaml:") for one in found] == expected


def test_it_has_a_port_of_its_own_and_addresses_to_give():
    api = "api: {listen: [{address: 127.0.0.1, port: 9876, token: x}]}\n"
    (only,) = problems("{auth: none}", api + NETWORKS)
    assert only.startswith(
        "lb.yaml:7:10: octavia.port: 127.0.0.1:9876 is already listened on: lb.yaml:2:16"
    )
    (only,) = problems("{auth: none}", "")
    assert only == "lb.yaml:2:1: octavia: networks to have addresses from are missing"


def subnets(*lines: str) -> str:
    return "networks:\n  - name: net\n    subnets:\n" + "".join(
        f"      - {{{one}}}\n" for one in lines
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["name: a, cidr: 10.0.0.0/24, pools: [10.0.1.1-10.0.1.2]"],
            ["5:46: networks.0.subnets.0.pools.0: 10.0.1.1-10.0.1.2 is not in 10.0.0.0/24"],
        ),
        (
            ["name: a, cidr: 10.0.0.0/24, pools: [10.0.0.9-10.0.0.3]"],
            [
                '5:46: networks.0.subnets.0.pools.0: expected FIRST-LAST, the lower address first, found "10.0.0.9-10.0.0.3"'
            ],
        ),
        (
            ["name: a, cidr: 10.0.0.0/24, pools: [10.0.0.3-10.0.0.9, 10.0.0.9]"],
            [
                "5:65: networks.0.subnets.0.pools.1: 10.0.0.9 overlaps 10.0.0.3-10.0.0.9 at lb.yaml:5:46"
            ],
        ),
        (
            ["name: a, cidr: 10.0.0.0/24, gateway: 10.0.0.5, pools: [10.0.0.3-10.0.0.9]"],
            [
                "5:65: networks.0.subnets.0.pools.0: 10.0.0.3-10.0.0.9 contains 10.0.0.5, the gateway"
            ],
        ),
        (
            ["name: a, cidr: 10.0.0.0/30, pools: [10.0.0.1-10.0.0.3]"],
            [
                "5:46: networks.0.subnets.0.pools.0: 10.0.0.1-10.0.0.3 contains 10.0.0.3, the broadcast address"
            ],
        ),
        (
            ["name: a, cidr: 10.0.0.0/24, gateway: 10.0.1.1"],
            ["5:47: networks.0.subnets.0.gateway: 10.0.1.1 is not in 10.0.0.0/24"],
        ),
        (
            ["name: a, cidr: 10.0.0.1/24"],
            [
                '5:25: networks.0.subnets.0.cidr: expected a network such as 10.0.0.0/24, found "10.0.0.1/24"'
            ],
        ),
        (
            ["name: a, cidr: 10.0.0.0/24", "name: a, cidr: 10.0.0.0/16"],
            [
                '6:16: networks.0.subnets.1.name: another subnet is called "a" at lb.yaml:5:16',
                "6:25: networks.0.subnets.1.cidr: 10.0.0.0/16 overlaps 10.0.0.0/24 at lb.yaml:5:25",
            ],
        ),
    ],
)
def test_networks_that_cannot_be_are_told_with_their_place(lines, expected):
    found = problems("{auth: none}", subnets(*lines))
    assert [one.removeprefix("lb.yaml:") for one in found] == expected


def test_a_network_has_a_name_of_its_own_and_a_subnet():
    twice = subnets("name: a, cidr: 10.0.0.0/24") + "  - {name: net, subnets: []}\n"
    found = problems("{auth: none}", twice)
    assert any("at least one item" in one for one in found)
    twice = subnets("name: a, cidr: 10.0.0.0/24")
    twice += "  - {name: net, subnets: [{name: b, cidr: 'fd00::/64'}]}\n"
    (only,) = problems("{auth: none}", twice)
    assert only == 'lb.yaml:6:12: networks.1.name: another network is called "net" at lb.yaml:3:11'


def test_both_families_and_small_networks_have_pools():
    some = subnets(
        "name: a, cidr: 10.0.0.0/31, pools: [10.0.0.0-10.0.0.1]",
        "name: b, cidr: 'fd00::/64', pools: ['fd00::1-fd00::ffff']",
    )
    settings = load("{auth: none}", some)
    assert settings is not None
    assert [len(one.pools) for one in settings.networks[0].subnets] == [1, 1]
