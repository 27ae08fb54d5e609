"""Keys: their text forms, the way back, and their order."""

import random
from ipaddress import ip_address

import pytest

from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
    ServiceKey,
    parse_endpoint,
    parse_service_key,
)

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
DNS6 = AddressKey(IPProtocol.UDP, ip_address("2001:db8::16"), Port(53))

KEYS = [
    pytest.param(WEB, "tcp/10.0.0.16:80", id="ipv4"),
    pytest.param(DNS6, "udp/[2001:db8::16]:53", id="ipv6"),
    pytest.param(FwmarkKey(5, Family.IPV4), "fwmark/5", id="fwmark"),
    pytest.param(FwmarkKey(5, Family.IPV6), "fwmark/5/ipv6", id="fwmark-ipv6"),
]


@pytest.mark.parametrize(("key", "text"), KEYS)
def test_a_service_key_has_one_text_form_and_is_read_back_from_it(key, text):
    assert str(key) == text
    assert parse_service_key(text) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http/10.0.0.1:80",
        "tcp/10.0.0.1",
        "tcp/10.0.0.1:",
        "tcp/10.0.0.1:65536",
        "tcp/10.0.0.1:-1",
        "tcp/10.0.0.1:٣",
        "tcp/2001:db8::1:80",
        "tcp/[10.0.0.1]:80",
        "tcp/nowhere:80",
        "fwmark/",
        "fwmark/x",
        "fwmark/5/ipv5",
    ],
)
def test_what_is_no_service_key_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_service_key(text)


def test_a_server_key_is_read_back_from_its_text():
    key = ServerKey(ip_address("2001:db8::4"), Port(8080))
    assert str(key) == "[2001:db8::4]:8080"
    assert parse_endpoint(str(key)) == key


def test_keys_of_all_kinds_have_one_order():
    keys: list[ServiceKey] = [
        AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80)),
        AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(443)),
        AddressKey(IPProtocol.UDP, ip_address("10.0.0.16"), Port(80)),
        AddressKey(IPProtocol.TCP, ip_address("2001:db8::16"), Port(80)),
        FwmarkKey(1, Family.IPV4),
        FwmarkKey(2, Family.IPV4),
        FwmarkKey(1, Family.IPV6),
    ]
    shuffled = random.Random(1).sample(keys, len(keys))
    assert sorted(shuffled, key=lambda key: key.order()) == keys


def test_servers_of_both_families_have_one_order():
    first, second, third = (
        ServerKey(ip_address(address), Port(port))
        for address, port in [("10.0.0.4", 80), ("10.0.0.4", 81), ("2001:db8::1", 1)]
    )
    assert sorted([third, second, first], key=ServerKey.order) == [first, second, third]


@pytest.mark.parametrize(
    ("key", "family"),
    [(WEB, Family.IPV4), (DNS6, Family.IPV6), (ServerKey(DNS6.address, Port(1)), Family.IPV6)],
)
def test_a_key_knows_its_family(key, family):
    assert key.family is family
    assert str(family) in {"ipv4", "ipv6"}
