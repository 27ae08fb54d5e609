"""The law of `ipvs_lb.ports.Store`, on the fake and on SQLite."""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.errors import UsageError
from ipvs_lb.model.desired import Desired, Owned, PlacedVip, SysctlNeed, owned_by
from ipvs_lb.model.firewall import AccessRule, Firewall, SourceNatRule
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
)
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.ports import Store
from ipvs_lb.store import SqliteStore
from tests.memory_store import MemoryStore

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
WEB6 = AddressKey(IPProtocol.UDP, ip_address("2001:db8::16"), Port(53))
MARK = FwmarkKey(7, Family.IPV6)
PLACE = InterfaceAddress("eth0", ip_address("10.0.0.16"), 32)
PLACE6 = InterfaceAddress("br-lan.5", ip_address("2001:db8::16"), 64)
EVERYTHING = Owned(
    frozenset({WEB, WEB6, MARK}),
    frozenset({PLACE, PLACE6}),
    frozenset({SyncRole.MASTER, SyncRole.BACKUP}),
)


def desired(weight: int = 1) -> Desired:
    servers = {ServerKey(ip_address("10.0.0.4"), Port(80)): Server(weight=weight)}
    return Desired(
        table=Table(
            {WEB: VirtualService(Service(scheduler="rr"), servers)},
            daemons={SyncRole.MASTER: SyncDaemon(role=SyncRole.MASTER, interface="eth0")},
        ),
        vips=(PlacedVip(PLACE, announce=False),),
        firewall=Firewall(
            source_nat=frozenset({SourceNatRule(ip_address("10.0.0.16"), "10.0.0.0/24")}),
            access=frozenset({AccessRule(WEB, ("10.0.0.0/8",))}),
        ),
        sysctls=(SysctlNeed("net.ipv4.ip_forward", "1", "masq"),),
        manage_sysctls=True,
    )


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    makers: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SqliteStore(tmp_path / "state" / "state.db"),
    }
    return makers[request.param]()


def test_a_new_store_owns_nothing_and_has_no_generations(store: Store) -> None:
    assert store.owned() == Owned()
    assert store.generations() == ()
    assert not store.warnings


def test_what_is_claimed_is_ours_exactly(store: Store) -> None:
    store.claim(EVERYTHING)
    assert store.owned() == EVERYTHING
    store.claim(Owned(frozenset({WEB})))
    assert store.owned() == Owned(frozenset({WEB}))


def test_a_commit_makes_exactly_the_desired_state_ours(store: Store) -> None:
    store.claim(EVERYTHING)
    store.commit(desired(), origin="lb.yaml", now=1.5)
    assert store.owned() == owned_by(desired())


def test_a_generation_comes_back_as_it_was_committed(store: Store) -> None:
    summary = store.commit(desired(7), origin="lb.yaml", now=1700000000.25)
    assert (summary.number, summary.services, summary.servers) == (1, 1, 1)
    assert store.generations() == (summary,)
    generation = store.generation(1)
    assert (generation.summary, generation.desired) == (summary, desired(7))


def test_generations_are_listed_oldest_first(store: Store) -> None:
    for weight in (1, 2, 3):
        store.commit(desired(weight), origin=f"{weight}.yaml", now=weight)
    assert [kept.origin for kept in store.generations()] == ["1.yaml", "2.yaml", "3.yaml"]


@pytest.mark.parametrize("number", [0, 2, 99])
def test_a_generation_that_is_not_kept_is_a_usage_error(store: Store, number: int) -> None:
    store.commit(desired(), origin="lb.yaml", now=1.0)
    with pytest.raises(UsageError, match=f"no generation {number}"):
        store.generation(number)
