"""What operators type, and who is meant."""

import pytest

from ipvs_lb.api.scene import Scene
from ipvs_lb.api.select import select, server_names, service_names
from tests.fake_control import FakeControl, many

LISTINGS = Scene(snapshot=FakeControl().snapshot()).listings
WEB_80, WEB_443, MAIL = (
    "10.0.0.{}:80 of tcp/10.0.0.16:80",
    "10.0.0.{}:443 of tcp/10.0.0.16:443",
    "[2001:db8::{}]:25 of tcp/[2001:db8::25]:25",
)


def meant(*patterns, services=()):
    selection = select(LISTINGS, patterns, services=services)
    return [str(member) for member in selection.members], list(selection.unknown)


@pytest.mark.parametrize(
    ("pattern", "members"),
    [
        pytest.param("web/server-1", [WEB_80.format(4), WEB_443.format(4)], id="service-and-name"),
        pytest.param("server-2", [WEB_80.format(6), WEB_443.format(6)], id="name"),
        pytest.param("10.0.0.6", [WEB_80.format(6), WEB_443.format(6)], id="address"),
        pytest.param("10.0.0.6:443", [WEB_443.format(6)], id="address-and-port"),
        pytest.param("tcp/10.0.0.16:80/server-1", [WEB_80.format(4)], id="virtual-service"),
        pytest.param("tcp/10.0.0.16:80/10.0.0.4", [WEB_80.format(4)], id="virtual-service-address"),
        pytest.param("2001:db8::4", [MAIL.format(4)], id="ipv6"),
        pytest.param("2001:0DB8:0::4", [MAIL.format(4)], id="ipv6-spelt-otherwise"),
        pytest.param("[2001:db8::4]:25", [MAIL.format(4)], id="ipv6-and-port"),
        pytest.param("mail/*", [MAIL.format(4), MAIL.format(6)], id="all-of-a-service"),
        pytest.param("2001:db8::*", [MAIL.format(4), MAIL.format(6)], id="wild-ipv6"),
        pytest.param("10.0.0.[4-5]:443", [WEB_443.format(4)], id="wild-address-and-port"),
        pytest.param(
            "w?b/server-[12]",
            [WEB_80.format(4), WEB_80.format(6), WEB_443.format(4), WEB_443.format(6)],
            id="wild-service",
        ),
    ],
)
def test_a_pattern_means_servers(pattern, members):
    assert meant(pattern) == (members, [])


def test_several_patterns_mean_each_server_once_in_the_order_of_the_configuration():
    assert meant("mx-1", "10.0.0.4:80", "web/server-1") == (
        [WEB_80.format(4), WEB_443.format(4), MAIL.format(4)],
        [],
    )


def test_a_service_restricts_what_is_meant():
    assert meant("*", services=["mail"])[0] == [MAIL.format(4), MAIL.format(6)]
    assert meant("*4", services=["tcp/10.0.0.16:443"])[0] == [WEB_443.format(4)]


def test_no_pattern_means_everything():
    assert len(meant()[0]) == 6
    assert len(meant(services=["web"])[0]) == 4


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("web/srver-1", "web/srver-1: no such server, did you mean web/server-1 or web/server-2?"),
        ("wbe/server-1", "wbe: no such service, did you mean web?"),
        ("10.0.0.44", "10.0.0.44: no such server, did you mean "),
        ("zzz", "zzz: no such server"),
        ("zzz*", "zzz*: no such server"),
        ("/", "/: no such server"),
        ("", ": no such server"),
        ("web/", "web/: no such server"),
        ("[2001:db8::4", "[2001:db8::4: no such server"),
    ],
)
def test_an_unknown_name_is_told_with_what_is_like_it(pattern, told):
    members, unknown = meant(pattern)
    assert members == []
    assert unknown[0].startswith(told)


def test_an_unknown_service_is_told_once():
    assert meant("server-1", "nobody", services=["wob"])[1] == [
        "wob: no such service, did you mean web?"
    ]


def test_letters_case_counts():
    assert meant("Server-1")[1] == ["Server-1: no such server, did you mean server-1 or server-2?"]


def test_names_that_can_be_typed_start_as_asked():
    assert server_names(LISTINGS, "se", 10) == ("server-1", "server-2")
    assert server_names(LISTINGS, "web/", 1) == ("web/server-1",)
    assert service_names(LISTINGS, "", 10) == (
        "web", "mail", "tcp/10.0.0.16:80", "tcp/10.0.0.16:443", "tcp/[2001:db8::25]:25"
    )  # fmt: skip


def test_one_of_thousands_is_found():
    listings = Scene(snapshot=FakeControl(config=many(100, 20)).snapshot()).listings
    assert len(select(listings, ["server-77-*"]).members) == 20
    assert "server-77-3" in select(listings, ["srver-77-3"]).unknown[0]
