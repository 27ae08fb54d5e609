"""What README.md and docs/ tell to type, typed line by line on a gateway between a client and two web servers."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest

from ipvs_lb.lab import walkthrough
from ipvs_lb.lab.clients import servers_seen
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.walkthrough import VIP
from netns_tests.balance import alternates
from tests.docs.readme import HOW_TOS, block_with, blocks, is_for_the_gateway, shell_lines

CONFIG = Path("/etc/ipvs-lb/config.yaml")
SOCKET = Path("/run/ipvs-lb/api.sock")
MAIL = """\
  - name: mail
    vip: 10.0.0.17
    port: 25
    servers: [{address: 10.0.0.4}]
"""
WEB_RULES = [
    "-A -t 10.0.0.16:80 -s rr",
    "-a -t 10.0.0.16:80 -r 10.0.0.4:80 -m -w 1",
    "-a -t 10.0.0.16:80 -r 10.0.0.6:80 -m -w 1",
    "-A -t 10.0.0.16:443 -s rr",
    "-a -t 10.0.0.16:443 -r 10.0.0.4:443 -m -w 1",
    "-a -t 10.0.0.16:443 -r 10.0.0.6:443 -m -w 1",
]
OWN_FOLDERS = """
mount -t tmpfs tmpfs "$0"
for folder in /etc /var; do
    mkdir -p "$0$folder/upper" "$0$folder/work"
    mount -t overlay -o "lowerdir=$folder,upperdir=$0$folder/upper,workdir=$0$folder/work" none "$folder"
done
touch "$0/ready"
exec sleep infinity
"""


class Reader:
    """Someone at the gateway's shell; what they write to /etc and /var, nobody else sees, nor does it stay."""

    def __init__(self, host, folder):
        self._host = host
        self._log = folder / "daemon.log"
        log, layers = folder / "log", folder / "layers"
        layers.mkdir()
        holder = host.start(
            ["unshare", "--mount", "bash", "-euc", OWN_FOLDERS, str(layers)], log=log
        )
        self._mounts = f"/proc/{holder.pid}/ns/mnt"
        deadline = time.monotonic() + 20
        while not Path(f"/proc/{holder.pid}/root{layers}/ready").exists():
            assert holder.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def type(self, line):
        """What *line* says in bash. It must succeed."""
        programs = shlex.quote(str(Path(sys.executable).parent))
        script = f"export PATH={programs}:$PATH\n{line}"
        words = ["nsenter", f"--mount={self._mounts}", "bash", "-c", script]
        result = self._host.run(words, check=False, timeout=120)
        assert result.returncode == 0, f"{line}\n{result.stdout}{result.stderr}"
        return result.stdout

    def type_and_go_on(self, line, until):
        """Start what *line* says, and wait until the file *until* is there."""
        command = line.removesuffix("&")
        programs = shlex.quote(str(Path(sys.executable).parent))
        script = f"export PATH={programs}:$PATH\nexec {command}"
        words = ["nsenter", f"--mount={self._mounts}", "bash", "-c", script]
        running = self._host.start(words, log=self._log)
        deadline = time.monotonic() + 60
        while not until.exists():
            assert running.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
        return ""

    def python(self, script):
        """What the Python *script* prints. It must succeed."""
        return self.type(f"python -c {shlex.quote(script)}")

    def configure(self, text):
        self.type(f"mkdir -p {CONFIG.parent}; printf %s {shlex.quote(text)} >{CONFIG}")


@pytest.fixture
def lab():
    with Network() as network:
        yield walkthrough.build(network)


@pytest.fixture
def reader(lab, tmp_path):
    return Reader(lab.gateway, tmp_path)


def test_the_readme_s_commands_do_what_it_says_in_its_order(lab, reader):
    """The script is what changes the gateway a second time, so that there is something to undo."""
    web, said = block_with("yaml").text, {}
    reader.configure(web)
    for block in blocks():
        if block.language == "python":
            reader.configure(web + MAIL)
            said["script"] = reader.python(block.text)
        for line in filter(is_for_the_gateway, block.lines if block.language == "sh" else ()):
            said[line] = (
                reader.type_and_go_on(line, SOCKET) if line.endswith("&") else reader.type(line)
            )
            if line == "ipvs-lb apply":
                assert alternates(servers_seen(lab.client, f"http://{VIP}/", 6))
    assert "tcp/10.0.0.16:80" in said["ipvs-lb plan || [ $? = 3 ]"]
    assert "server-2" in said["ipvs-lb status"]
    assert "server-1" in said["ipvs-lb explain server-1"]
    assert "override.set" in said["ipvs-lb events"]
    assert said["script"].splitlines()[0] == "add service tcp/10.0.0.17:25 scheduler wrr"
    assert len(said["ipvs-lb rollback --list"].splitlines()) >= 2
    assert "tcp/10.0.0.17:25" in said["ipvs-lb rollback"]
    assert sorted(said["ipvs-lb export --format ipvsadm"].splitlines()) == sorted(WEB_RULES)
    assert "10.0.0.16:443" in said["ipvs-lb lab guest -- ipvsadm -Ln"]


def test_the_way_from_ipvsadm_leaves_table_and_addresses_alone(lab, reader):
    lab.gateway.address("eth1", f"{VIP}/32")
    reader.type("ipvsadm -R <<END\n" + "\n".join(WEB_RULES) + "\nEND")
    # without the state of the links, which the kernel is late to tell
    look = "ipvsadm -Sn; ip -brief address | sed -E 's/ (UP|UNKNOWN) / /'"
    before = reader.type(look)
    said = {line: reader.type(line) for line in shell_lines(HOW_TOS / "from-ipvsadm.md")}
    assert "Nothing to do" in said["ipvs-lb plan"]
    assert "foreign" not in said["ipvs-lb status"].replace("(0 foreign)", "")
    assert reader.type(look).split() == before.split()
    assert alternates(servers_seen(lab.client, f"http://{VIP}/", 4))


KEEPALIVED = """\
virtual_server_group web {{
    {vip} 80
    {vip} 443
}}
virtual_server group web {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    ~LST(LAST, 4, 6) real_server 10.0.0.${{LAST}} 80 {{ weight 1 }}
}}
"""
LDIRECTORD = """\
virtual={vip}:80
	real=10.0.0.4->10.0.0.4:80 masq
	real=10.0.0.6:80 masq
	scheduler=rr
	checktype=on
	smtp=10.0.0.4
"""


def test_the_ways_from_keepalived_and_ldirectord_lead_to_a_table_that_balances(lab, reader):
    lab.gateway.address("eth1", f"{VIP}/32")
    for page, path, text in (
        ("from-keepalived.md", "/etc/keepalived/keepalived.conf", KEEPALIVED),
        ("from-ldirectord.md", "/etc/ha.d/ldirectord.cf", LDIRECTORD),
    ):
        there = shlex.quote(text.format(vip=VIP))
        reader.type(f"mkdir -p {Path(path).parent}; printf %s {there} >{path}")
        said = {line: reader.type(line) for line in shell_lines(HOW_TOS / page)}
        assert f"tcp/{VIP}:443" in said["ipvs-lb plan || [ $? = 3 ]"]
        assert "(0 foreign)" in said["ipvs-lb status"]
        assert alternates(servers_seen(lab.client, f"http://{VIP}/", 4))
