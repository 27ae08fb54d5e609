"""Restricted services under `apply`: at no moment is one in the kernel without its restriction."""

import errno
from dataclasses import replace
from ipaddress import ip_address
from itertools import permutations, product

import pytest

from ipvs_lb.engine.apply import carry_out, prepare, prepare_return
from ipvs_lb.errors import HostError, RefusedError
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.firewall import AccessRule, Firewall
from ipvs_lb.model.host import SetFirewall, Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Service
from ipvs_lb.policy import effective
from tests.fake_host import FakeHost
from tests.fake_kernel import FakeKernel
from tests.memory_store import MemoryStore

VIP = ip_address("10.0.0.16")
WEB, TLS = (AddressKey(IPProtocol.TCP, VIP, Port(port)) for port in (80, 443))
OFFICE, HOME = "192.0.2.0/24", "198.51.100.7/32"
NO_NFT = "this kernel has no nf_tables"


def web(key=WEB, *, allow=(), servers=(4,), guard=False):
    return DeclaredService(
        name=f"web{key.port}",
        keys=(key,),
        service=Service(scheduler="rr"),
        servers=tuple(
            DeclaredServer(name=f"s{last}", address=ip_address(f"10.0.0.{last}"))
            for last in servers
        ),
        vips=(Vip(address=VIP, guard=guard),),
        allow=allow,
    )


class Watched:
    """A gateway of fakes; after every call, services that `closed` names must be restricted if they are there."""

    def __init__(self):
        self.closed = set()
        self.calls = []
        watch = self

        class Kernel(FakeKernel):
            def execute(self, commands):
                try:
                    super().execute(commands)
                finally:
                    watch.look("kernel" if commands else "")

        class Host(FakeHost):
            def execute(self, command):
                super().execute(command)
                watch.look(str(command))

        self.kernel, self.host, self.store = Kernel(), Host(), MemoryStore()

    def look(self, call):
        self.calls += [call] if call else []
        restricted = {rule.service for rule in self.host.state.firewall.access}
        assert self.closed & self.kernel.table.services.keys() <= restricted, self.calls

    def plan(self, *services):
        config = Config(services=services)
        return prepare(config, kernel=self.kernel, host=self.host, store=self.store)

    def do(self, change):
        return carry_out(
            change, kernel=self.kernel, host=self.host, store=self.store, origin="test", now=1.0
        )

    def apply(self, *services):
        """What was closed before, and is not declared open now, stays so throughout."""
        change = self.plan(*services)
        kept = self.closed - keys_of(services, closed=False)
        self.closed = kept | keys_of(services, closed=True)
        return self.do(change)

    @property
    def access(self):
        return set(map(str, self.host.state.firewall.access))


CHOICES = [
    (),
    (web(allow=(OFFICE,)),),
    (web(allow=(HOME,)), web(TLS)),
    (web(allow=(OFFICE,), servers=(4, 6)), web(TLS, allow=(OFFICE,))),
    (web(servers=(6,)),),
]


@pytest.mark.parametrize(("before", "after"), list(product(CHOICES, CHOICES)))
def test_no_restricted_service_is_open_for_a_moment(before, after):
    box = Watched()
    box.apply(*before)
    box.apply(*after)
    assert box.kernel.table.services.keys() == effective(Config(services=after)).services.keys()
    assert box.plan(*after).is_empty
    assert box.access == {
        f"{key} for {one.allow[0]} only" for one in after if one.allow for key in one.keys
    }


def test_the_rules_come_first_and_go_last():
    box = Watched()
    box.apply(web(allow=(OFFICE,)))
    assert box.calls == [
        "set firewall: tcp/10.0.0.16:80 for 192.0.2.0/24 only",
        "kernel",
        "add address 10.0.0.16/32 on lo",
    ]
    box.calls.clear()
    box.apply()
    assert box.calls == ["remove address 10.0.0.16/32 on lo", "kernel", "remove firewall rules"]


def keys_of(services, *, closed):
    return {key for one in services if bool(one.allow) is closed for key in one.keys}


@pytest.mark.parametrize("refusal", ["address", "first command", "last command"])
@pytest.mark.parametrize(("before", "after"), list(permutations(CHOICES, 2)))
def test_what_is_taken_back_was_not_open_meanwhile(before, after, refusal):
    box = Watched()
    box.apply(*before)
    change = box.plan(*after)
    if refusal == "address":
        box.host.refuse = dict.fromkeys([*change.host_before, *change.host_after], "busy")
    else:
        which = slice(1) if refusal == "first command" else slice(-1, None)
        box.kernel.refuse = dict.fromkeys(change.commands[which], errno.EINVAL)
    seen = box.kernel.table.services, box.host.state, box.store.owned()
    every = (*before, *after)
    box.closed = keys_of(every, closed=True) - keys_of(every, closed=False)
    if box.host.refuse or box.kernel.refuse:
        with pytest.raises((HostError, RefusedError), match="nothing was changed"):
            box.do(change)
        assert (box.kernel.table.services, box.host.state, box.store.owned()) == seen
    else:
        box.do(change)


def test_a_service_is_not_put_in_force_where_nobody_can_be_kept_out():
    box = Watched()
    change = box.plan(web(allow=(OFFICE,)), web(TLS))
    (first,) = change.firewall_first
    box.host.refuse = {first: NO_NFT}
    with pytest.raises(HostError, match=f"{NO_NFT}; nothing was changed"):
        box.do(change)
    assert "kernel" not in box.calls
    assert not box.kernel.table.services
    assert not box.store.generations()


def test_a_generation_comes_back_with_its_restrictions():
    box = Watched()
    first = box.apply(web(allow=(OFFICE,)))
    box.apply()
    assert box.access == set()
    generation = box.store.generation(first.number)
    box.closed = {WEB}
    box.do(prepare_return(generation, kernel=box.kernel, host=box.host, store=box.store))
    assert box.access == {"tcp/10.0.0.16:80 for 192.0.2.0/24 only"}
    assert WEB in box.kernel.table.services


def test_what_others_took_away_is_planned_again():
    box = Watched()
    box.apply(web(allow=(OFFICE,)))
    box.host.state = replace(box.host.state, firewall=Firewall())
    change = box.plan(web(allow=(OFFICE,)))
    wanted = Firewall(access=frozenset({AccessRule(WEB, (OFFICE,))}))
    assert (change.firewall_first, change.commands) == ((SetFirewall(wanted),), ())


def test_only_a_gateway_with_rules_is_asked_for_them():
    box = Watched()
    box.apply(web())
    box.host.state = replace(
        box.host.state, firewall=Firewall(access=frozenset({AccessRule(TLS, (HOME,))}))
    )
    assert not box.plan(web()).host_state.firewall
    assert box.plan(web(allow=(OFFICE,))).host_state.firewall


def on_vip(*opened):
    return SetFirewall(Firewall(guarded=frozenset({VIP}), opened=frozenset(opened)))


def test_a_vip_is_guarded_before_it_is_there_until_it_is_gone_and_open_as_long_as_services_are_there():
    box = Watched()
    box.apply(web(guard=True))
    assert box.calls == [str(on_vip(WEB)), "kernel", "add address 10.0.0.16/32 on lo"]
    assert box.plan(web(guard=True)).is_empty
    box.calls.clear()
    box.apply(web(TLS, guard=True))
    assert box.calls == [str(on_vip(TLS, WEB)), "kernel", "kernel", str(on_vip(TLS))]
    box.calls.clear()
    box.apply(web(TLS))
    assert box.calls == ["remove firewall rules"]
    box.apply(web(TLS, guard=True))
    box.calls.clear()
    box.apply()
    assert box.calls == ["remove address 10.0.0.16/32 on lo", "kernel", "remove firewall rules"]


def test_where_no_vip_can_be_guarded_nothing_is_changed():
    box = Watched()
    box.host.refuse = {on_vip(WEB): NO_NFT}
    with pytest.raises(HostError, match=f"{NO_NFT}; nothing was changed"):
        box.apply(web(guard=True))
    assert not box.kernel.table.services
    assert not box.host.state.addresses


def test_a_refused_change_leaves_the_guard_as_it_was():
    box = Watched()
    box.apply(web(guard=True))
    change = box.plan(web(TLS, guard=True))
    box.kernel.refuse = {change.commands[-1]: errno.EINVAL}
    with pytest.raises(RefusedError, match="nothing was changed"):
        box.do(change)
    assert SetFirewall(box.host.state.firewall) == on_vip(WEB)


def test_a_generation_comes_back_with_its_guard():
    box = Watched()
    first = box.apply(web(guard=True))
    box.apply(web())
    generation = box.store.generation(first.number)
    box.do(prepare_return(generation, kernel=box.kernel, host=box.host, store=box.store))
    assert SetFirewall(box.host.state.firewall) == on_vip(WEB)
