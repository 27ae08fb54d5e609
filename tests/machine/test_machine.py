"""What /proc and its like say, read from files as the kernel writes them."""

import os
import resource
import socket
from ipaddress import ip_address

from ipvs_lb.doctor import Listener
from ipvs_lb.machine import sockets, system
from ipvs_lb.model.identity import IPProtocol, Port

HEAD = "  sl  local_address rem_address   st tx_queue\n"


def row(number, local, state):
    return f"   {number}: {local} 00000000:0000 {state} 00000000:00000000 00:00000000\n"


def test_sockets_that_others_reach_are_listed_and_loopback_is_not(tmp_path):
    own = f"{int.from_bytes(socket.inet_aton('10.0.0.1'), 'little'):08X}"
    (tmp_path / "tcp").write_text(
        HEAD
        + row(0, "0100007F:0016", "0A")
        + row(1, "00000000:0016", "0A")
        + row(2, f"{own}:0050", "01")
    )
    (tmp_path / "tcp6").write_text(HEAD + row(0, f"{'0' * 32}:01BB", "0A"))
    (tmp_path / "udp").write_text(HEAD + row(0, f"{own}:0035", "07"))
    assert sockets.listeners(tmp_path) == (
        Listener(IPProtocol.TCP, ip_address("0.0.0.0"), Port(22)),
        Listener(IPProtocol.TCP, None, Port(443)),
        Listener(IPProtocol.UDP, ip_address("10.0.0.1"), Port(53)),
    )


def test_a_socket_of_this_process_is_seen():
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert Listener(IPProtocol.TCP, ip_address("0.0.0.0"), Port(port)) in sockets.listeners()


def test_modules_are_those_on_disk_built_in_and_loaded(tmp_path):
    folder, loaded = tmp_path / os.uname().release, tmp_path / "loaded"
    folder.mkdir()
    (loaded / "ip_vs_sh").mkdir(parents=True)
    assert system.modules(tmp_path, loaded) == (None, frozenset({"ip_vs_sh"}))
    (folder / "modules.dep").write_text(
        "kernel/net/ipvs/ip_vs_rr.ko.xz: kernel/net/ipvs/ip_vs.ko.xz\n"
    )
    (folder / "modules.builtin").write_text("kernel/net/ipvs/ip_vs_wrr.ko\n")
    assert system.modules(tmp_path, loaded) == (
        frozenset({"ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh"}),
        frozenset({"ip_vs_wrr", "ip_vs_sh"}),
    )


def test_other_managers_count_where_they_share_the_network_namespace(tmp_path):
    for name, comm in (
        ("thread-self", "x"),
        ("12", "keepalived"),
        ("13", "bash"),
        ("14", "ldirectord"),
    ):
        (tmp_path / name / "ns").mkdir(parents=True)
        (tmp_path / name / "comm").write_text(f"{comm}\n")
        if name != "14":
            os.link(tmp_path / "thread-self/comm", tmp_path / name / "ns/net")
    (tmp_path / "14/ns/net").write_text("another namespace")
    (tmp_path / "15").mkdir()
    assert system.managers(tmp_path) == ("keepalived",)


def test_a_state_directory_that_others_may_write_to_is_told(tmp_path):
    assert not system.state_directory(tmp_path / "none").exists
    tmp_path.chmod(0o755)
    assert not system.state_directory(tmp_path).others_write
    tmp_path.chmod(0o777)
    found = system.state_directory(tmp_path)
    assert found.others_write
    assert found.free is not None
    assert system.state_directory(tmp_path).path == str(tmp_path)


def test_a_state_directory_that_cannot_be_looked_at_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    assert system.state_directory(tmp_path / "file" / "state").problems != ()


def test_limits_and_clock_are_read_from_this_machine():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert system.file_limit(None) == (None if hard == resource.RLIM_INFINITY else hard)
    assert system.clock_is_set() in {True, False}


def test_the_limit_is_that_of_the_process_asked_about(tmp_path):
    (tmp_path / "7").mkdir()
    limits = tmp_path / "7" / "limits"
    limits.write_text(
        "Max processes 1 2 processes\nMax open files            256      512      files     \n"
    )
    assert system.file_limit(7, tmp_path) == 512
    limits.write_text("Max open files            256      unlimited      files     \n")
    assert system.file_limit(7, tmp_path) is None
    assert system.file_limit(8, tmp_path) is None


def test_who_listens_on_a_socket_is_told_by_the_kernel(tmp_path):
    path = tmp_path / "api.sock"
    assert sockets.process_behind(path) is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        assert sockets.process_behind(path) == os.getpid()
    assert sockets.process_behind(path) is None
