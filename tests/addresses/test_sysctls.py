"""Sysctls under another root than /proc/sys."""

import pytest

from ipvs_lb.addresses import sysctls
from ipvs_lb.errors import HostError

FORWARD, CONNTRACK = "net.ipv4.ip_forward", "net.ipv4.vs.conntrack"


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "net/ipv4/ip_forward"
    path.parent.mkdir(parents=True)
    path.write_text("0\n")
    return tmp_path


def test_what_the_kernel_does_not_have_is_not_read(root):
    assert sysctls.read([FORWARD, CONNTRACK], root) == {FORWARD: "0"}


def test_what_is_written_is_read(root):
    sysctls.write(FORWARD, "1", root)
    assert sysctls.read([FORWARD], root) == {FORWARD: "1"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [(CONNTRACK, "`modprobe ip_vs` first"), ("net.none", "this kernel does not have it")],
)
def test_a_sysctl_that_is_not_there_is_not_made(root, name, hint):
    with pytest.raises(HostError, match=f"set sysctl {name}=1: No such file") as caught:
        sysctls.write(name, "1", root)
    assert caught.value.hint == hint
    assert not (root / "net/none").exists()


def test_an_unreadable_sysctl_is_named(root):
    with pytest.raises(HostError, match=r"read sysctl net\.ipv4: Is a directory"):
        sysctls.read(["net.ipv4"], root)
