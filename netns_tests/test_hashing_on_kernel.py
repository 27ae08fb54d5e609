"""Which server each client gets from the kernel's hashing schedulers, against the simulation of their tables."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import pytest

from ipvs_lb.hashing import (
    Slots,
    Weighted,
    destination_slot,
    destination_slots,
    maglev_slot,
    maglev_slots,
    source_slot,
    source_slots,
)
from ipvs_lb.model.identity import IPAddress, ServerKey, parse_endpoint

VIP = ip_address("10.9.0.1")
WEIGHTS = {"10.7.0.1": 3, "10.7.0.2": 1, "10.7.0.3": 5, "10.7.0.4": 0, "10.7.0.5": 2}
DRAINED = "10.7.0.3"

# one datagram of every client; the kernel's connection table then says where each was sent
SCRIPT = """
import json, socket, subprocess, sys
from ipaddress import ip_address

scheduler, weights, drained = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]

def run(command):
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout

for command in (
    "ip link set lo up", "ip link add d0 type dummy", "ip link set d0 up",
    "ip address add 10.9.0.1/32 dev d0", "ip address add 10.7.0.250/24 dev d0",
    "ip route add local 10.8.0.0/16 dev lo", "sysctl -qw net.ipv4.ip_nonlocal_bind=1",
    f"ipvsadm -A -u 10.9.0.1:5000 -s {scheduler}",
    *(f"ipvsadm -a -u 10.9.0.1:5000 -r {a}:5000 -w {w} -m" for a, w in weights.items()),
):
    run(command)
if drained:
    run(f"ipvsadm -e -u 10.9.0.1:5000 -r {drained}:5000 -w 0 -m")
listing = [line.split() for line in run("ipvsadm -Ln --nosort").splitlines()]
order = [words[1] for words in listing if words[0] == "->" and words[1].startswith("10.7.")]
for n in range(1, 200):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((f"10.8.{n % 7}.{n}", 4000))
        try:
            client.sendto(b"x", ("10.9.0.1", 5000))
        except OSError:
            pass  # refused: no server for this client
sent = {}
with open("/proc/net/ip_vs_conn") as connections:
    for _, source, _, _, _, server, *_ in map(str.split, list(connections)[1:]):
        sent[str(ip_address(int(source, 16)))] = str(ip_address(int(server, 16)))
print(json.dumps({"order": order, "sent": sent}))
"""

Case = tuple[Callable[[Sequence[Weighted]], Slots], Callable[[IPAddress], int]]

CASES: dict[str, Case] = {
    "sh": (source_slots, source_slot),
    "dh": (destination_slots, lambda _client: destination_slot(VIP)),
    "mh": (maglev_slots, maglev_slot),
}


def ask_kernel(scheduler: str, drained: str) -> tuple[list[ServerKey], dict[str, str]]:
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", SCRIPT, scheduler, json.dumps(WEIGHTS), drained],
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return [parse_endpoint(text) for text in answer["order"]], answer["sent"]


@pytest.mark.parametrize("drained", ["", DRAINED], ids=["all", "one-drained"])
@pytest.mark.parametrize("scheduler", CASES)
def test_every_client_gets_the_server_that_was_computed(scheduler: str, drained: str) -> None:
    order, sent = ask_kernel(scheduler, drained)
    assert [str(key.address) for key in order] == [*reversed(WEIGHTS)]  # the newest comes first
    build, slot_of = CASES[scheduler]
    now = {**WEIGHTS, drained: 0}
    counted = WEIGHTS if scheduler == "mh" else now  # mh keeps the slots of a drained server
    slots = build([Weighted(key, counted[str(key.address)]) for key in order])
    clients = [ip_address(f"10.8.{n % 7}.{n}") for n in range(1, 200)]
    computed = {str(client): slots[slot_of(client)] for client in clients}
    expected = {c: str(k.address) for c, k in computed.items() if k and now[str(k.address)]}
    assert sent == expected
