"""Our source-NAT rules as an nft script, and back from what nft lists."""

import json
import stat
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.addresses import nftables
from ipvs_lb.errors import HostError
from ipvs_lb.model.host import SourceNatRule

RULE = SourceNatRule(ip_address("10.0.0.16"), "10.0.0.0/24")
RULE6 = SourceNatRule(ip_address("2001:db8::16"), "2001:db8::/64")
SCRIPT = """\
add table ip ipvs_lb
delete table ip ipvs_lb
table ip ipvs_lb {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ct original ip daddr 10.0.0.16 ip saddr 10.0.0.0/24 masquerade
  }
}
add table ip6 ipvs_lb
delete table ip6 ipvs_lb
table ip6 ipvs_lb {
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ct original ip6 daddr 2001:db8::16 ip6 saddr 2001:db8::/64 masquerade
  }
}
"""


def test_the_script_replaces_both_tables_as_a_whole():
    assert nftables.render({RULE6, RULE}, {"ip", "ip6"}) == SCRIPT


def test_without_rules_the_table_goes():
    script = "add table ip ipvs_lb\ndelete table ip ipvs_lb\n"
    assert nftables.render(set(), {"ip"}) == script


def match(left, right, op="=="):
    return {"match": {"op": op, "left": left, "right": right}}


def listing(*entries, chain=None):
    table = {"table": {"family": "ip", "name": "ipvs_lb", "handle": 2}}
    ours = {"family": "ip", "table": "ipvs_lb", "name": "postrouting", "handle": 1, "prio": 100}
    ours |= {"type": "nat", "hook": "postrouting", "policy": "accept"} | (chain or {})
    head = [{"metainfo": {"version": "1.0.6"}}, table, {"chain": ours}]
    return json.dumps({"nftables": [*head, *entries]})


def rule(*, daddr="10.0.0.16", saddr=None, verdict=None, op="==", direction="original", extra=()):
    subnet = {"prefix": {"addr": "10.0.0.0", "len": 24}} if saddr is None else saddr
    to = match({"ct": {"key": "ip daddr", "dir": direction}}, daddr, op)
    source = match({"payload": {"protocol": "ip", "field": "saddr"}}, subnet)
    expression = [to, source, {"masquerade": None} if verdict is None else verdict, *extra]
    return {"rule": {"family": "ip", "table": "ipvs_lb", "expr": expression}}


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        pytest.param(listing(), set(), id="empty"),
        pytest.param(listing(rule()), {"10.0.0.0/24 to 10.0.0.16"}, id="subnet"),
        pytest.param(listing(rule(saddr="10.0.0.7")), {"10.0.0.7/32 to 10.0.0.16"}, id="host"),
        pytest.param(listing(rule(), rule(op="!=")), set(), id="inverted"),
        pytest.param(listing(rule(), rule(direction="reply")), set(), id="other-direction"),
        pytest.param(listing(rule(), rule(verdict={"accept": None})), set(), id="other-verdict"),
        pytest.param(listing(rule(), rule(extra=({"accept": None},))), set(), id="more-in-a-rule"),
        pytest.param(listing(rule(), rule(saddr={"set": ["10.0.0.7"]})), set(), id="set"),
        pytest.param(listing(rule(), {"set": {"name": "x"}}), set(), id="more-in-the-table"),
        pytest.param(listing(rule(), chain={"prio": 99}), set(), id="other-chain"),
        pytest.param("{}", set(), id="other-json"),
        pytest.param("nothing", set(), id="no-json"),
    ],
)
def test_listed_rules_are_read_or_the_table_counts_as_empty(text, rules):
    assert set(map(str, nftables.parse(text))) == rules


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(junk, st.sampled_from(["chain", "rule", "table"]))
def test_no_listing_makes_the_reader_fail(value, kind):
    nftables.parse(json.dumps(value))
    nftables.parse(json.dumps({"nftables": value}))
    nftables.parse(json.dumps({"nftables": [{kind: value}]}))
    nftables.parse(json.dumps({"nftables": [{"rule": {"family": "ip", "expr": value}}]}))
    nftables.parse(json.dumps({"nftables": [rule(daddr=value), rule(saddr=value)]}))


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
    assert nftables.read() == frozenset()


def test_rules_that_may_not_be_looked_at_are_an_error(program):
    program("echo 'Operation not permitted (you must be root)' >&2; exit 1")
    with pytest.raises(HostError, match="read source NAT: Operation not permitted") as caught:
        nftables.read()
    assert caught.value.hint == "run as root or grant CAP_NET_ADMIN"


def test_a_kernel_that_refuses_the_rules_is_quoted(program):
    program("echo 'Error: Could not process rule: Not supported' >&2; echo more >&2; exit 1")
    with pytest.raises(HostError, match=r"Could not process rule: Not supported$") as caught:
        nftables.replace(frozenset({RULE}))
    assert "source_nat: off" in (caught.value.hint or "")


def test_a_silent_failure_names_the_exit_status(program):
    program("exit 3")
    with pytest.raises(HostError, match="nft exited with 3"):
        nftables.replace(frozenset({RULE}))


def test_a_program_that_cannot_be_started_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "nft").write_text("#!/no/such/interpreter\n")
    (tmp_path / "nft").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match=r"cannot run .*/nft: No such file or directory"):
        nftables.read()


def test_nothing_wanted_and_nothing_there_asks_nft_for_no_change(program, tmp_path):
    program(f'echo "$@" >> {tmp_path}/calls; echo \'{{"nftables": []}}\'')
    nftables.replace(frozenset())
    assert (tmp_path / "calls").read_text() == "-j list tables\n"


def test_a_list_of_tables_in_an_unknown_form_is_an_error(program):
    program("echo '[]'")
    with pytest.raises(HostError, match="a form that is not known"):
        nftables.read()
