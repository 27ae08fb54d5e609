"""Clients in the servers' own subnet use a masq service with our rules, and hang without them."""

import socket
import subprocess
import threading
from contextlib import ExitStack
from ipaddress import ip_address

import pytest
from pyroute2 import netns

from ipvs_lb import firewall
from ipvs_lb.addresses import LinuxHost
from ipvs_lb.hostplan import SYSCTLS, host_plan, place, sysctl_needs
from ipvs_lb.hostplan import firewall as firewall_of
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.desired import Desired, Owned
from ipvs_lb.model.firewall import AccessRule, Firewall, SourceNatRule
from ipvs_lb.model.host import SetFirewall, SourceNat, Vip
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.settings import Service
from ipvs_lb.policy import effective

pytestmark = pytest.mark.nftables

NUMBERS = {"gateway": 2, "client": 7, "server-1": 4, "server-2": 6}
SERVERS = ("server-1", "server-2")
VIP, VIP6 = ip_address("10.0.0.16"), ip_address("2001:db8::16")


def run(command):
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


@pytest.fixture
def lan(network):
    """A gateway, a client and two servers on one switch, all in one subnet."""
    switch, hosts = network.switch("switch"), {name: network.host(name) for name in NUMBERS}
    for name, number in NUMBERS.items():
        hosts[name].plug(switch, f"10.0.0.{number}/24", f"2001:db8::{number}/64")
    return hosts


@pytest.fixture
def gateway(lan):
    """The test itself runs on the gateway."""
    netns.pushns(lan["gateway"].namespace)
    yield LinuxHost()
    netns.popns()


@pytest.fixture
def servers(lan):
    """A real server per namespace that answers each connection with its own and its client's address."""
    with ExitStack() as stack:
        for name in SERVERS:
            listener = lan[name].call(
                socket.create_server, ("::", 80), family=socket.AF_INET6, dualstack_ipv6=True
            )
            thread = threading.Thread(target=serve, args=(listener, name))
            thread.start()
            stack.enter_context(listener)
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
        yield


def serve(listener, name):
    """Ends when the listener is shut down."""
    while True:
        try:
            connection, client = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(f"{name} {client[0].removeprefix('::ffff:')}".encode())


def ask(client, vip):
    """What the client is told, as (server, the client's address it saw)."""
    with client.call(socket.create_connection, (str(vip), 80), timeout=2) as connection:
        return tuple(connection.makefile().read().split())


def balance(vip, wish):
    """A masq service on *vip*, with the source NAT that its declaration asks for."""
    six = vip.version == 6
    net = "2001:db8::" if six else "10.0.0."
    config = Config(
        services=(
            DeclaredService(
                name="web",
                keys=(AddressKey(IPProtocol.TCP, vip, Port(80)),),
                service=Service(scheduler="rr"),
                servers=tuple(
                    DeclaredServer(name=name, address=ip_address(f"{net}{NUMBERS[name]}"))
                    for name in SERVERS
                ),
                vips=(Vip(address=vip),),
                source_nat=wish,
            ),
        ),
        manage_sysctls=True,
    )
    where = f"[{vip}]:80" if six else f"{vip}:80"
    run(f"ipvsadm -A -t {where} -s rr")
    for server in config.services[0].servers:
        real = f"[{server.address}]:80" if six else f"{server.address}:80"
        run(f"ipvsadm -a -t {where} -r {real} -m")
    return config


def desired_by(config, state):
    table = effective(config)
    rules = firewall_of(config, table, state)
    return Desired(
        table,
        place(config.services[0].vips, state),
        rules,
        sysctl_needs(config, table, rules.source_nat),
        manage_sysctls=True,
    )


def surround(config, host):
    """Bring addresses, rules and sysctls to what *config* asks for, and see that they stay."""
    for command in planned(config, host):
        host.execute(command)
    assert planned(config, host) == ()


def planned(config, host):
    state = host.read(SYSCTLS)
    desired = desired_by(config, state)
    before, after = host_plan(state, desired, Owned())
    first, last = firewall.steps(state.firewall, desired.firewall)
    return (*first, *before, *after, *last)


@pytest.mark.parametrize("vip", [VIP, VIP6], ids=str)
def test_a_client_beside_the_servers_is_answered_in_turn_with_source_nat(
    lan, gateway, servers, vip
):
    surround(balance(vip, SourceNat.AUTO), gateway)
    answers = [ask(lan["client"], vip) for _ in range(4)]
    assert [name for name, _ in answers] in (
        ["server-1", "server-2"] * 2,
        ["server-2", "server-1"] * 2,
    )
    own = "2001:db8::2" if vip.version == 6 else "10.0.0.2"
    assert {seen for _, seen in answers} <= {own, str(vip)}


@pytest.mark.parametrize("vip", [VIP, VIP6], ids=str)
def test_without_source_nat_that_client_hangs(lan, gateway, servers, vip):
    surround(balance(vip, SourceNat.OFF), gateway)
    with pytest.raises(TimeoutError):
        ask(lan["client"], vip)


def test_taking_the_rules_back_leaves_no_table(lan, gateway, servers):
    config = balance(VIP, SourceNat.AUTO)
    surround(config, gateway)
    gateway.execute(SetFirewall(Firewall()))
    assert run("nft list tables") == ""
    with pytest.raises(TimeoutError):
        ask(lan["client"], VIP)


RULES = Firewall(
    source_nat=frozenset(
        {
            SourceNatRule(VIP, "10.0.0.0/24"),
            SourceNatRule(VIP, "0.0.0.0/0"),
            SourceNatRule(VIP6, "2001:db8::/64"),
            SourceNatRule(VIP6, "::/0"),
            SourceNatRule(ip_address("10.0.0.17"), "10.0.0.7/32"),
        }
    ),
    access=frozenset(
        {
            AccessRule(AddressKey(IPProtocol.TCP, VIP, Port(80)), ("10.0.0.0/8", "192.0.2.7/32")),
            AccessRule(AddressKey(IPProtocol.UDP, VIP, Port(53)), ()),
            AccessRule(AddressKey(IPProtocol.SCTP, VIP, Port(0)), ("10.0.1.0/24", "10.0.2.0/23")),
            AccessRule(AddressKey(IPProtocol.SCTP, VIP, Port(81)), ("0.0.0.0/0",)),
            AccessRule(FwmarkKey(2**32 - 1, Family.IPV4), ("10.0.0.0/8", "192.0.2.7/32")),
            AccessRule(AddressKey(IPProtocol.TCP, VIP6, Port(80)), ("::1/128", "2001:db8::/32")),
            AccessRule(FwmarkKey(1, Family.IPV6), ("2001:db8::/32",)),
        }
    ),
)
MANY = Firewall(
    access=frozenset(
        {
            AccessRule(
                AddressKey(IPProtocol.TCP, ip_address(f"10.0.1.{host}"), Port(80)),
                tuple(f"192.{host}.{net // 8}.{net % 8 * 16}/30" for net in range(1000)),
            )
            for host in range(2, 3)
        }
    )
)


def test_rules_are_read_as_they_were_set_and_replaced_as_a_whole(gateway):
    assert gateway.read().firewall == Firewall()
    fewer = Firewall(source_nat=frozenset(rule for rule in RULES.source_nat if rule.vip == VIP))
    for rules in (RULES, RULES, fewer, MANY, Firewall()):
        gateway.execute(SetFirewall(rules))
        assert gateway.read().firewall == rules


def test_tables_of_others_are_neither_read_nor_touched(gateway):
    run("nft add table inet ipvs_lb")
    run("nft add table ip others")
    run("nft add chain ip others postrouting")
    run("nft add rule ip others postrouting masquerade")
    before = run("nft list ruleset")
    gateway.execute(SetFirewall(RULES))
    assert gateway.read().firewall == RULES
    gateway.execute(SetFirewall(Firewall()))
    assert run("nft list ruleset") == before


def test_rules_that_somebody_changed_are_written_anew(gateway):
    for chain in ("postrouting", "input", "allowed_1"):
        gateway.execute(SetFirewall(RULES))
        run(f"nft insert rule ip ipvs_lb {chain} accept")
        found = gateway.read().firewall
        assert found.source_nat < RULES.source_nat
        assert found.access < RULES.access
    gateway.execute(SetFirewall(RULES))
    assert gateway.read().firewall == RULES
