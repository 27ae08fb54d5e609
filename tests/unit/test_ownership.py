"""What of a gateway is ours, and how steps on the host read to an operator."""

from ipaddress import ip_address

import pytest

from ipvs_lb.model.desired import Desired, Owned, PlacedVip, owned_by
from ipvs_lb.model.firewall import AccessRule, Firewall, SourceNatRule
from ipvs_lb.model.host import (
    AddAddress,
    InterfaceAddress,
    RemoveAddress,
    SetFirewall,
    SetSysctl,
)
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.settings import Service, SyncDaemon, SyncRole
from ipvs_lb.model.table import Table, VirtualService

VIP, VIP6 = ip_address("10.0.0.16"), ip_address("2001:db8::16")
WEB = AddressKey(IPProtocol.TCP, VIP, Port(80))
DNS = AddressKey(IPProtocol.UDP, VIP, Port(53))
MARK = FwmarkKey(7, Family.IPV6)
PLACE = InterfaceAddress("eth1", VIP, 32)
RULE = SourceNatRule(VIP, "10.0.0.0/24")
OTHER_RULE = SourceNatRule(ip_address("10.1.0.16"), "10.1.0.0/24")
MASTER = SyncDaemon(role=SyncRole.MASTER, interface="eth0")


def test_everything_a_desired_state_declares_is_ours():
    desired = Desired(
        table=Table(
            {WEB: VirtualService(Service(scheduler="rr"))}, daemons={SyncRole.MASTER: MASTER}
        ),
        vips=(PlacedVip(PLACE),),
        firewall=Firewall(source_nat=frozenset({RULE})),
    )
    assert owned_by(desired) == Owned(
        frozenset({WEB}), frozenset({PLACE}), frozenset({SyncRole.MASTER}), firewall=True
    )


def test_nothing_declared_is_nothing_owned():
    assert owned_by(Desired()) == Owned()


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        pytest.param(Owned(), Owned(), Owned(), id="nothing"),
        pytest.param(
            Owned(frozenset({WEB}), frozenset({PLACE})),
            Owned(frozenset({DNS}), frozenset(), frozenset({SyncRole.BACKUP}), firewall=True),
            Owned(
                frozenset({WEB, DNS}),
                frozenset({PLACE}),
                frozenset({SyncRole.BACKUP}),
                firewall=True,
            ),
            id="each-has-its-own",
        ),
    ],
)
def test_what_two_runs_own_is_owned_together(one, other, both):
    assert one | other == both
    assert other | one == both


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (AddAddress(PLACE, announce=True), "add address 10.0.0.16/32 on eth1, announce it"),
        (AddAddress(PLACE, announce=False), "add address 10.0.0.16/32 on eth1"),
        (RemoveAddress(PLACE), "remove address 10.0.0.16/32 on eth1"),
        (
            SetSysctl("net.ipv4.vs.conntrack", "1", "source NAT"),
            "set sysctl net.ipv4.vs.conntrack=1 (source NAT)",
        ),
        (SetFirewall(Firewall()), "remove firewall rules"),
        (
            SetFirewall(Firewall(source_nat=frozenset({OTHER_RULE, RULE}))),
            "set firewall: source NAT 10.0.0.0/24 to 10.0.0.16, 10.1.0.0/24 to 10.1.0.16",
        ),
        (
            SetFirewall(
                Firewall(
                    source_nat=frozenset({RULE}),
                    access=frozenset(
                        {
                            AccessRule(WEB, ("10.0.0.0/8", "192.0.2.7/32")),
                            AccessRule(DNS, ()),
                            AccessRule(MARK, ("::/0",)),
                        }
                    ),
                )
            ),
            "set firewall: tcp/10.0.0.16:80 for 10.0.0.0/8, 192.0.2.7/32 only;"
            " udp/10.0.0.16:53 for nobody only; fwmark/7/ipv6 for everyone;"
            " source NAT 10.0.0.0/24 to 10.0.0.16",
        ),
        (
            SetFirewall(
                Firewall(
                    access=frozenset({AccessRule(WEB, tuple(f"10.{n}.0.0/16" for n in range(9)))})
                )
            ),
            "set firewall: tcp/10.0.0.16:80 for 10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16, and 6 more only",
        ),
        (
            SetFirewall(Firewall(guarded=frozenset({VIP, VIP6}), opened=frozenset({WEB, MARK}))),
            "set firewall: on 10.0.0.16, 2001:db8::16 nothing but"
            " tcp/10.0.0.16:80, fwmark/7/ipv6 answers",
        ),
        (
            SetFirewall(Firewall(source_nat=frozenset({RULE}), guarded=frozenset({VIP}))),
            "set firewall: source NAT 10.0.0.0/24 to 10.0.0.16; on 10.0.0.16 nothing answers",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_step_on_the_host_reads_as_what_it_does(command, text):
    assert str(command) == text
