"""The tables of the hashing schedulers, against facts of the kernel's source and its own test vectors."""

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.hashing import (
    HASH_SLOTS,
    MAGLEV_SLOTS,
    Slots,
    Weighted,
    destination_slot,
    destination_slots,
    folded,
    half_siphash,
    maglev_slot,
    maglev_slots,
    source_slot,
    source_slots,
)
from ipvs_lb.model.identity import Port, ServerKey

A, B, C = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 6, 7))

keys = st.builds(ServerKey, st.ip_addresses(), st.builds(Port, st.integers(0, 65535)))
weighted = st.lists(
    st.builds(Weighted, keys, st.integers(0, 65535)), max_size=6, unique_by=lambda s: s.key
)


def shares(slots: Slots) -> dict[ServerKey | None, int]:
    return dict(Counter(slots))


def test_the_hash_gives_the_value_of_the_kernels_own_test() -> None:
    # lib/test_siphash.c, test_vectors_hsiphash[4] on 64 bits
    assert half_siphash(0x03020100, (0x0706050403020100, 0x0F0E0D0C0B0A0908)) == 0x88D38328


def test_an_ipv6_address_folds_into_the_exclusive_or_of_its_words() -> None:
    assert folded(ip_address("2001:db8::1:2")) == 0x20010DB8 ^ 0x00010002
    assert folded(ip_address("10.0.0.4")) == 0x0A000004


def test_source_hashing_fills_slots_by_weight_in_the_kernels_order() -> None:
    slots = source_slots([Weighted(A, 2), Weighted(B, 1)])
    assert slots[:6] == (A, A, B, A, A, B)
    assert len(slots) == HASH_SLOTS


def test_source_hashing_gives_a_drained_server_a_slot_all_the_same() -> None:
    assert source_slots([Weighted(A, 0), Weighted(B, 1)])[:4] == (A, B, A, B)


def test_source_hashing_gives_a_huge_weight_no_more_than_the_table() -> None:
    assert shares(source_slots([Weighted(A, 65535), Weighted(B, 1)])) == {A: HASH_SLOTS}


def test_destination_hashing_does_not_look_at_weights() -> None:
    assert destination_slots([Weighted(A, 9), Weighted(B, 1)])[:4] == (A, B, A, B)


@pytest.mark.parametrize("build", [source_slots, destination_slots, maglev_slots])
def test_without_servers_every_slot_is_empty(build: Callable[[list[Weighted]], Slots]) -> None:
    assert set(build([])) == {None}


def test_an_address_has_one_destination_slot() -> None:
    assert destination_slot(ip_address("0.0.0.0")) == 0
    assert destination_slot(ip_address("0.0.0.1")) == 0x61


@given(st.ip_addresses())
def test_clients_that_fold_alike_share_their_slots(client: IPv4Address | IPv6Address) -> None:
    twin = IPv4Address(folded(client))
    assert maglev_slot(client) == maglev_slot(twin) < MAGLEV_SLOTS
    assert source_slot(client) == source_slot(twin) < HASH_SLOTS


def test_maglev_gives_equal_weights_equal_shares() -> None:
    counts = Counter(maglev_slots([Weighted(k, 1) for k in (A, B, C)]))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_maglev_shares_follow_weights_over_their_common_divisor() -> None:
    ten_to_thirty = maglev_slots([Weighted(A, 10), Weighted(B, 30)])
    assert ten_to_thirty == maglev_slots([Weighted(A, 1), Weighted(B, 3)])
    assert shares(ten_to_thirty)[B] == pytest.approx(MAGLEV_SLOTS * 3 / 4, abs=3)


def test_maglev_cuts_large_weights_to_six_bits() -> None:
    counts = shares(maglev_slots([Weighted(A, 65535), Weighted(B, 1)]))
    assert counts[A] / counts[B] == pytest.approx(63, rel=0.05)


def test_maglev_without_weights_is_empty() -> None:
    assert set(maglev_slots([Weighted(A, 0)])) == {None}


def test_maglev_moves_little_more_than_the_share_of_a_server_that_goes() -> None:
    servers = [Weighted(ServerKey(ip_address(f"10.0.1.{n}"), Port(80)), 1) for n in range(20)]
    before, after = maglev_slots(servers), maglev_slots(servers[1:])
    moved = sum(old != new for old, new in zip(before, after, strict=True)) / MAGLEV_SLOTS
    assert 0.05 <= moved < 0.1


@given(weighted)
def test_maglev_fills_every_slot_when_anyone_has_weight(servers: list[Weighted]) -> None:
    takers: set[ServerKey | None] = {server.key for server in servers if server.weight}
    assert set(maglev_slots(servers)) == (takers or {None})
