"""Every scheduler of the kernel is accepted, or refused with what to do; some are seen to choose as they should."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from ipvs_lb.errors import RefusedError
from ipvs_lb.lab.packages import find_program
from ipvs_lb.model.settings import SCHEDULERS
from netns_tests.balance import (
    MORE_OUTSIDERS,
    ONE,
    THREE,
    TWO,
    Conversation,
    alternates,
    answered,
    config,
    new_vip,
    server,
    service,
    share,
)


def has(bench, scheduler):
    """Whether this kernel's modules have *scheduler*."""
    modprobe = find_program("modprobe")
    assert modprobe
    found = bench.gateway.run([modprobe, "-q", f"ip_vs_{scheduler}"], check=False)
    return found.returncode == 0


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_scheduler_serves_or_is_refused_with_what_to_do(bench, balancer, scheduler):
    vip = new_vip()
    wanted = config(service(vip, ONE, TWO, scheduler=scheduler))
    if not has(bench, scheduler):
        balancer.apply(config(service(vip, ONE)))
        before = balancer.rules()
        with pytest.raises(RefusedError, match="no such scheduler") as refused:
            balancer.apply(wanted)
        assert refused.value.hint == f"modprobe ip_vs_{scheduler}"
        assert balancer.rules() == before
        return
    balancer.apply(wanted)
    assert bench.seen(vip, 1)[0] in {"server-1", "server-2"}
    assert f"-A -t {vip}:80 -s {scheduler}" in balancer.rules()


def weighed(vip, scheduler, *weights, **settings):
    """A service whose server-1, server-2, ... have these weights."""
    addresses = (ONE, TWO, THREE)[: len(weights)]
    servers = [server(one, weight=weight) for one, weight in zip(addresses, weights, strict=True)]
    return config(service(vip, *servers, scheduler=scheduler, **settings))


def test_rr_alternates_whatever_the_weights(bench, balancer):
    vip = new_vip()
    balancer.apply(weighed(vip, "rr", 1, 9))
    assert alternates(bench.seen(vip, 6))


def test_wrr_shares_exactly_by_weight(bench, balancer):
    vip = new_vip()
    balancer.apply(weighed(vip, "wrr", 3, 1))
    assert share(bench.seen(vip, 12)) == {"server-1": 9, "server-2": 3}


def test_wrr_gives_nothing_to_weight_0(bench, balancer):
    vip = new_vip()
    balancer.apply(weighed(vip, "wrr", 2, 0, 1))
    assert share(bench.seen(vip, 6)) == {"server-1": 4, "server-3": 2}


def test_fo_uses_the_highest_weight_until_it_goes(bench, balancer):
    vip = new_vip()
    balancer.apply(weighed(vip, "fo", 1, 9))
    assert share(bench.seen(vip, 4)) == {"server-2": 4}
    balancer.apply(weighed(vip, "fo", 1, 0))
    assert share(bench.seen(vip, 2)) == {"server-1": 2}


@pytest.mark.parametrize(
    ("scheduler", "weights", "expected"),
    [
        pytest.param(
            "ovf", (1, 2), ["server-2"] * 3 + ["server-1"], id="ovf-overflows-above-the-weight"
        ),
        pytest.param("lc", (1, 9), {"server-1": 2, "server-2": 2}, id="lc-levels-connections"),
        pytest.param("wlc", (1, 3), {"server-1": 1, "server-2": 3}, id="wlc-levels-by-weight"),
        pytest.param("sed", (1, 3), {"server-1": 1, "server-2": 3}, id="sed-expects-the-delay"),
        pytest.param("nq", (1, 9), {"server-1": 1, "server-2": 3}, id="nq-prefers-an-idle-server"),
    ],
)
def test_open_connections_decide(bench, balancer, scheduler, weights, expected):
    vip = new_vip()
    balancer.apply(weighed(vip, scheduler, *weights))
    with ExitStack() as stack:
        talks = [stack.enter_context(Conversation(bench.outsider, vip)) for _ in range(4)]
        names = [talk.server for talk in talks]
    assert expected in (names, share(names))


@pytest.mark.parametrize(
    ("scheduler", "flags"),
    [("sh", []), ("mh", []), ("mh", ["mh-fallback"]), ("sh", ["sh-fallback"])],
    ids=str,
)
def test_source_hashing_keeps_a_client_and_spreads_clients(bench, balancer, scheduler, flags):
    vip = new_vip()
    balancer.apply(weighed(vip, scheduler, 1, 1, flags=flags))
    first, second = (
        [answered(bench.outsider, vip, source=source) for source in MORE_OUTSIDERS]
        for _ in range(2)
    )
    assert first == second
    assert set(first) == {"server-1", "server-2"}


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_source_hashing_with_ports_spreads_one_client(bench, balancer, scheduler):
    vip = new_vip()
    balancer.apply(weighed(vip, scheduler, 1, 1, flags=[f"{scheduler}-port"]))
    assert set(bench.seen(vip, 12, source=MORE_OUTSIDERS[0])) == {"server-1", "server-2"}


@pytest.mark.parametrize("scheduler", ["dh", "lblc", "lblcr"])
def test_destination_schedulers_keep_a_destination_on_one_server(bench, balancer, scheduler):
    vip = new_vip()
    balancer.apply(weighed(vip, scheduler, 1, 1))
    names = [answered(bench.outsider, vip, source=source) for source in MORE_OUTSIDERS]
    assert len(set(names)) == 1
