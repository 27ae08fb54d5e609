"""What of the kernel's messages about links and addresses is news, on messages that pyroute2 has made."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_interface

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from ipvs_lb.addresses.monitor import Picture
from ipvs_lb.model.host import InterfaceAddress

NEWLINK, DELLINK, NEWADDR, DELADDR, DONE = 16, 17, 20, 21, 3
UP, DOWN, NO_CARRIER = 0x1 | 0x40, 0x0, 0x1  # IFF_UP | IFF_RUNNING
MULTI = 2
LO = socket.if_nametoindex("lo")


def encoded(message, kind, flags=0):
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message.encode()
    return bytes(message.data)


def link(state, *, index=7, name="eth0", changes=1, kind=NEWLINK, part=0, family=0, mtu=1500):
    message = ifinfmsg()
    message["family"], message["index"], message["flags"] = family, index, state
    message["attrs"] = [
        ("IFLA_IFNAME", name),
        ("IFLA_MTU", mtu),
        ("IFLA_CARRIER_CHANGES", changes),
    ]
    return encoded(message, kind, part)


def address(text, *, index=7, kind=NEWADDR, peer=None):
    """On a point-to-point link IFA_ADDRESS is the *peer*."""
    own = ip_interface(text)
    message = ifaddrmsg()
    message["family"] = socket.AF_INET if own.version == 4 else socket.AF_INET6
    message["index"], message["prefixlen"] = index, own.network.prefixlen
    message["attrs"] = [("IFA_ADDRESS", str(peer or own.ip))]
    if own.version == 4:
        message["attrs"].append(("IFA_LOCAL", str(own.ip)))
    return encoded(message, kind)


def told(*datagrams):
    """What the last of *datagrams* comes to after the others."""
    picture = Picture()
    return [picture.take(datagram) for datagram in datagrams][-1]


@pytest.mark.parametrize(
    ("datagrams", "news"),
    [
        pytest.param([link(UP)], {"eth0"}, id="appeared"),
        pytest.param([link(DOWN)], set(), id="appeared-down"),
        pytest.param([link(UP), link(UP, mtu=1400)], None, id="another-mtu"),
        pytest.param([link(UP), link(DOWN)], set(), id="taken-down"),
        pytest.param([link(UP), link(NO_CARRIER, changes=2)], set(), id="unplugged"),
        pytest.param([link(DOWN), link(UP)], {"eth0"}, id="brought-up"),
        pytest.param([link(NO_CARRIER), link(UP, changes=2)], {"eth0"}, id="plugged-in"),
        pytest.param([link(UP), link(UP, changes=3)], {"eth0"}, id="flapped-in-between"),
        pytest.param([link(UP), link(UP, name="wan")], {"wan"}, id="renamed"),
        pytest.param([link(UP), link(UP, kind=DELLINK)], set(), id="gone"),
        pytest.param([link(UP), link(DOWN, kind=DELLINK), link(UP)], {"eth0"}, id="gone-and-back"),
        pytest.param([link(UP, part=MULTI)], None, id="an-answer"),
        pytest.param([link(UP, part=MULTI), link(UP)], None, id="known-by-an-answer"),
        pytest.param([link(DOWN, part=MULTI), link(UP)], {"eth0"}, id="up-since-an-answer"),
        pytest.param([link(UP, family=socket.AF_BRIDGE)], None, id="a-bridges-port"),
        pytest.param([link(DOWN), link(DOWN) + link(UP)], {"eth0"}, id="two-in-one"),
        pytest.param(
            [link(UP) + link(UP, index=8, name="eth1")], {"eth0", "eth1"}, id="two-links"
        ),
        pytest.param([address("10.0.0.16/32")], set(), id="address"),
        pytest.param([address("10.0.0.16/32"), address("10.0.0.16/32")], None, id="renewed"),
        pytest.param([address("2001:db8::16/128"), address("2001:db8::16/128")], None, id="renewed-6"),
        pytest.param([address("10.0.0.16/32", kind=DELADDR)], set(), id="address-gone"),
        pytest.param(
            [address("10.0.0.16/32"), address("10.0.0.16/32", kind=DELADDR), address("10.0.0.16/32")],
            set(),
            id="address-gone-and-back",
        ),
        pytest.param([address("10.0.0.16/32"), address("10.0.0.16/24")], set(), id="other-length"),
        pytest.param([address("10.0.0.16/32"), address("10.0.0.16/32", index=8)], set(), id="other-link"),
        pytest.param([address("10.0.0.16/32"), link(UP, kind=DELLINK), address("10.0.0.16/32")], set(), id="link-gone"),
        pytest.param([b""], None, id="nothing"),
        pytest.param([encoded(ifinfmsg(), DONE, MULTI)], None, id="end-of-an-answer"),
        pytest.param([b"\0" * 64], None, id="nonsense"),
    ],
)  # fmt: skip
def test_news(datagrams, news):
    assert told(*datagrams) == news


def place(text):
    own = ip_interface(text)
    return InterfaceAddress("lo", own.ip, own.network.prefixlen)


@pytest.mark.parametrize("text", ["10.0.0.16/32", "2001:db8::16/128"])
def test_what_we_do_ourselves_is_no_news_and_what_others_do_to_it_is(text):
    picture = Picture()
    came, went = address(text, index=LO), address(text, index=LO, kind=DELADDR)
    with picture.expecting(place(text), present=True):
        pass
    assert picture.take(came) is None
    assert picture.take(went) == frozenset()
    with picture.expecting(place(text), present=True):
        pass
    assert picture.take(came) is None
    with picture.expecting(place(text), present=False):
        pass
    assert picture.take(went) is None
    assert picture.take(came) == frozenset()


def test_a_change_of_ours_that_failed_is_not_expected_any_more():
    picture = Picture()
    with pytest.raises(OSError), picture.expecting(place("10.0.0.16/32"), present=True):  # noqa: PT011  # as raised here
        raise OSError
    assert picture.take(address("10.0.0.16/32", index=LO)) == frozenset()


def test_nothing_is_expected_of_an_interface_that_is_not_there():
    nowhere = InterfaceAddress("nowhere0", ip_address("10.0.0.16"), 32)
    with Picture().expecting(nowhere, present=True):
        pass


def test_on_a_point_to_point_link_our_end_counts():
    picture = Picture()
    with picture.expecting(place("10.0.0.16/32"), present=True):
        pass
    assert picture.take(address("10.0.0.16/32", index=LO, peer=ip_address("10.0.0.17"))) is None


def test_after_forgetting_everything_is_news():
    picture = Picture()
    picture.take(link(UP) + address("10.0.0.16/32"))
    picture.forget()
    assert picture.take(address("10.0.0.16/32")) == frozenset()
    assert picture.take(link(UP)) == frozenset({"eth0"})
