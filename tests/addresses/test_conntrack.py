"""Forgetting UDP clients where the kernel tracks nothing: it is asked for nothing then."""

from ipaddress import ip_address

import pytest

from ipvs_lb.addresses.conntrack import forget
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port

DNS = AddressKey(IPProtocol.UDP, ip_address("10.0.0.16"), Port(53))


@pytest.mark.parametrize("count", [None, "0\n", "many\n"], ids=["no-module", "none", "nonsense"])
def test_a_kernel_that_tracks_no_connection_has_nothing_to_forget(tmp_path, count):
    if count is not None:
        (tmp_path / "net/netfilter").mkdir(parents=True)
        (tmp_path / "net/netfilter/nf_conntrack_count").write_text(count)
    assert forget({DNS: frozenset()}, tmp_path) == 0


def test_no_service_is_nothing_to_do(tmp_path):
    (tmp_path / "net/netfilter").mkdir(parents=True)
    (tmp_path / "net/netfilter/nf_conntrack_count").write_text("7\n")
    assert forget({}, tmp_path) == 0
