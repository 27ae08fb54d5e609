"""The firewall by way of the nft program: what is asked of it, and what its refusals come to."""

import shutil
import stat
from ipaddress import ip_address

import pytest

from ipvs_lb.addresses import nftables
from ipvs_lb.errors import HostError
from ipvs_lb.model.firewall import AccessRule, Firewall, SourceNatRule
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port

VIP = ip_address("10.0.0.16")
TRANSLATED = Firewall(source_nat=frozenset({SourceNatRule(VIP, "10.0.0.0/24")}))
RESTRICTED = Firewall(
    access=frozenset({AccessRule(AddressKey(IPProtocol.TCP, VIP, Port(80)), ("10.0.0.0/8",))})
)
GUARDED = Firewall(guarded=frozenset({VIP}))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script in the place of nft."""

    def write(text):
        path = tmp_path / "nft"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", str(tmp_path))

    return write


def test_a_kernel_without_nftables_has_no_rules(program):
    program("echo 'netlink: Error: cache initialization failed: Not supported' >&2; exit 1")
    assert nftables.read() == Firewall()


def test_rules_that_may_not_be_looked_at_are_an_error(program):
    program("echo 'Operation not permitted (you must be root)' >&2; exit 1")
    with pytest.raises(HostError, match="read firewall: Operation not permitted") as caught:
        nftables.read()
    assert caught.value.hint == "run as root or grant CAP_NET_ADMIN"


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [(TRANSLATED, "source_nat: off"), (RESTRICTED, "`allow`"), (GUARDED, "guard_vips: no")],
)
def test_a_kernel_that_refuses_the_rules_is_quoted(program, wanted, hint):
    program("echo 'Error: Could not process rule: Not supported' >&2; echo more >&2; exit 1")
    with pytest.raises(HostError, match=r"Could not process rule: Not supported$") as caught:
        nftables.replace(wanted)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (TRANSLATED, "source NAT"),
        (RESTRICTED, "to allow some clients only"),
        (GUARDED, "a guard of VIPs"),
    ],
)
def test_without_the_program_rules_are_refused_and_none_are_there(monkeypatch, wanted, what):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    with pytest.raises(HostError, match=f"^{what} needs the nft program$") as caught:
        nftables.replace(wanted)
    assert caught.value.hint == "apt install nftables"
    assert nftables.read() == Firewall()
    nftables.replace(Firewall())


def test_a_silent_failure_names_the_exit_status(program):
    program("exit 3")
    with pytest.raises(HostError, match="nft exited with 3"):
        nftables.replace(TRANSLATED)


def test_a_program_that_cannot_be_started_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "nft").write_text("#!/no/such/interpreter\n")
    (tmp_path / "nft").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match=r"cannot run .*/nft: No such file or directory"):
        nftables.read()


def test_nothing_wanted_and_nothing_there_asks_nft_for_no_change(program, tmp_path):
    program(f'echo "$@" >> {tmp_path}/calls; echo \'{{"nftables": []}}\'')
    nftables.replace(Firewall())
    assert (tmp_path / "calls").read_text() == "-j list tables\n"


def test_a_list_of_tables_in_an_unknown_form_is_an_error(program):
    program("echo '[]'")
    with pytest.raises(HostError, match="a form that is not known"):
        nftables.read()
