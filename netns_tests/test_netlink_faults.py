"""The kernel interface when things go wrong or change underneath, and what the kernel does in corner cases."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteService,
    EditServer,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
)
from ipvs_lb.errors import RefusedError
from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.network import Network
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import (
    Forwarding,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelType,
)
from ipvs_lb.model.table import Table
from ipvs_lb.netlink import NetlinkKernel, open_kernel
from ipvs_lb.plan import plan

RR, UNKNOWN = Service(scheduler="rr"), Service(scheduler="nosuch")
ONE = Server()
GROUP = ip_address("224.0.0.81")


def service(number: int) -> AddressKey:
    return AddressKey(IPProtocol.TCP, ip_address("10.1.0.0") + number, Port(80))


def server(number: int, port: int = 80) -> ServerKey:
    return ServerKey(ip_address("10.2.0.0") + number, Port(port))


WEB, A = service(1), server(1)


@pytest.fixture
def gateway(network: Network) -> Host:
    """A host with an interface that a sync daemon can use."""
    gateway, other = network.host("gateway"), network.host("other")
    network.cable(gateway, "10.9.0.1/24", other, "10.9.0.2/24")
    return gateway


@pytest.fixture
def kernel(gateway: Host) -> Iterator[NetlinkKernel]:
    with gateway.call(open_kernel) as kernel:
        yield kernel


def refused(kernel: NetlinkKernel, *commands: Command) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        kernel.execute(commands)
    return caught.value


def test_one_bad_service_among_thousands_is_the_only_one_refused(kernel: NetlinkKernel) -> None:
    commands: list[Command] = [AddService(service(n), RR) for n in range(2500)]
    commands[1700] = AddService(service(1700), UNKNOWN)
    error = refused(kernel, *commands)
    assert [refusal.command for refusal in error.refusals] == [commands[1700]]
    assert str(error) == "add service tcp/10.1.6.164:80 scheduler nosuch: no such scheduler"
    assert kernel.read().services.keys() == {service(n) for n in range(2500)} - {service(1700)}


def test_answers_that_do_not_fit_into_the_buffer_are_still_matched_to_their_commands(
    gateway: Host,
) -> None:
    keys = [
        ServerKey(ip_address(f"{'224' if n % 2 else '10'}.0.{n // 256}.{n % 256}"), Port(80))
        for n in range(1, 900)
    ]
    commands = [AddServer(WEB, key, ONE) for key in keys]
    with gateway.call(NetlinkKernel(receive_buffer=1).open) as kernel:
        kernel.execute([AddService(WEB, RR)])
        error = refused(kernel, *commands)
        assert [refusal.command for refusal in error.refusals] == commands[::2]
        assert kernel.read().services[WEB].servers.keys() == set(keys[1::2])
        assert kernel.statistics()[WEB].servers.keys() == set(keys[1::2])


def test_a_table_that_changes_while_it_is_read_is_still_read(gateway: Host) -> None:
    with gateway.call(open_kernel) as reader, gateway.call(open_kernel) as writer:
        keep: list[Command] = [AddService(service(n), RR) for n in range(0, 400, 2)]
        writer.execute(keep)
        done = threading.Event()

        def change() -> None:
            while not done.is_set():
                writer.execute([AddService(service(n), RR) for n in range(1, 400, 2)])
                writer.execute([DeleteService(service(n)) for n in range(1, 400, 2)])

        thread = threading.Thread(target=change)
        thread.start()
        try:
            tables = [reader.read() for _ in range(20)]
        finally:
            done.set()
            thread.join()
    known = {service(n) for n in range(400)}
    assert all(table.services.keys() <= known for table in tables)


def test_many_servers_come_in_many_datagrams(kernel: NetlinkKernel) -> None:
    wanted = {server(n): Server(weight=n) for n in range(700)}
    kernel.execute([AddService(WEB, RR), *(AddServer(WEB, k, s) for k, s in wanted.items())])
    assert kernel.read().services[WEB].servers == wanted
    assert kernel.statistics()[WEB].servers.keys() == wanted.keys()


def test_servers_are_dumped_newest_first_and_in_the_same_order_each_time(
    kernel: NetlinkKernel,
) -> None:
    keys = [server(n) for n in (3, 1, 2)]
    kernel.execute([AddService(WEB, RR), *(AddServer(WEB, key, ONE) for key in keys)])
    assert list(kernel.read().services[WEB].servers) == keys[::-1]
    kernel.execute([EditServer(WEB, keys[1], Server(weight=9))])
    assert list(kernel.read().services[WEB].servers) == keys[::-1]


@pytest.mark.parametrize(
    "settings",
    [
        Server(forwarding=Forwarding.MASQ),
        Server(forwarding=Forwarding.DR),
        Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel()),
    ],
    ids=lambda settings: str(settings.forwarding),
)
def test_a_server_on_the_gateway_itself_reads_back_as_it_was_set(
    kernel: NetlinkKernel, settings: Server
) -> None:
    local = ServerKey(ip_address("10.9.0.1"), Port(80))
    kernel.execute([AddService(WEB, RR), AddServer(WEB, local, settings)])
    assert kernel.read().services[WEB].servers == {local: settings}


def test_without_permission_the_operator_is_told_what_to_do(gateway: Host) -> None:
    script = (
        "import os\n"
        "from ipvs_lb.errors import KernelError\n"
        "from ipvs_lb.netlink import open_kernel\n"
        "os.setuid(65534)\n"
        "try: open_kernel().read()\n"
        "except KernelError as error: print(error, error.hint, sep='; ')\n"
    )
    said = gateway.run([sys.executable, "-c", script]).stdout
    assert said == "IPVS: not permitted; run as root or grant CAP_NET_ADMIN\n"


def test_the_module_of_an_unknown_scheduler_is_asked_for_once(gateway: Host) -> None:
    asked: list[str] = []

    def load(name: str) -> bool:
        asked.append(name)
        return False

    with gateway.call(NetlinkKernel(load=load).open) as kernel:
        refused(kernel, AddService(WEB, UNKNOWN))
        assert refused(kernel, AddService(WEB, UNKNOWN)).hint == "modprobe ip_vs_nosuch"
        assert asked == ["ip_vs_nosuch"]


def test_a_module_that_was_loaded_but_does_not_help_leaves_a_refusal(gateway: Host) -> None:
    with gateway.call(NetlinkKernel(load=lambda _: True).open) as kernel:
        assert refused(kernel, AddService(WEB, UNKNOWN)).hint == "modprobe ip_vs_nosuch"


@pytest.mark.parametrize(
    ("key", "settings", "reason", "hint"),
    [
        pytest.param(
            A, Server(upper_threshold=1, lower_threshold=2),
            "weight 1 or thresholds 2 to 1 out of range", "not above the upper one", id="thresholds",
        ),
        pytest.param(
            A, Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel(TunnelType.GUE)),
            "invalid", "gue tunnel needs a port", id="gue without port",
        ),
        pytest.param(
            ServerKey(ip_address("224.0.0.1"), Port(80)), ONE, "invalid", "unicast", id="multicast"
        ),
        pytest.param(
            ServerKey(ip_address("fe80::1"), Port(80)),
            Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel()),
            "invalid", "unicast", id="link-local",
        ),
        pytest.param(
            ServerKey(ip_address("fd00::1"), Port(80)), ONE,
            "invalid", "only be reached by tunnel", id="other family",
        ),
    ],
)  # fmt: skip
def test_a_refused_server_is_named_with_the_reason(
    kernel: NetlinkKernel, key: ServerKey, settings: Server, reason: str, hint: str
) -> None:
    error = refused(kernel, AddService(WEB, RR), AddServer(WEB, key, settings))
    assert f"add server {key} to {WEB}" in str(error)
    assert reason in str(error)
    assert hint in (error.hint or "")


def test_a_namespace_without_an_address_takes_no_servers(gateway: Host) -> None:
    script = (
        "import ctypes; ctypes.CDLL(None).unshare(0x40000000)\n"
        "from netns_tests.test_netlink_faults import A, ONE, RR, WEB, AddServer, AddService\n"
        "from ipvs_lb.errors import RefusedError\n"
        "from ipvs_lb.netlink import open_kernel\n"
        "try: open_kernel().execute([AddService(WEB, RR), AddServer(WEB, A, ONE)])\n"
        "except RefusedError as error: print(error.hint)\n"
    )
    said = gateway.run([sys.executable, "-c", script]).stdout
    assert said.startswith("ip link set lo up")


def test_timeouts_beyond_the_kernels_clock_are_refused(kernel: NetlinkKernel) -> None:
    error = refused(kernel, SetTimeouts(Timeouts(tcp=2**31, tcp_fin=1, udp=1)))
    assert "out of range" in str(error)


def test_sync_daemons_are_started_changed_and_stopped(gateway: Host, kernel: NetlinkKernel) -> None:
    interface = gateway.run(["ip", "-o", "route", "get", "10.9.0.2"]).stdout.split()[2]
    master = SyncDaemon(role=SyncRole.MASTER, interface=interface, sync_id=3)
    backup = SyncDaemon(
        role=SyncRole.BACKUP,
        interface=interface,
        sync_id=255,
        max_length=1200,
        group=ip_address("ff02::5"),
        port=Port(9000),
        ttl=7,
    )
    wanted = Table(daemons={SyncRole.MASTER: master, SyncRole.BACKUP: backup})
    kernel.execute(plan(kernel.read(), wanted))
    present = kernel.read().daemons
    assert present is not None
    assert present[SyncRole.BACKUP] == backup
    assert (present[SyncRole.MASTER].group, present[SyncRole.MASTER].port) == (GROUP, 8848)
    assert plan(kernel.read(), wanted) == ()
    kernel.execute([StartDaemon(SyncDaemon(role=SyncRole.MASTER, interface=interface, sync_id=4))])
    kernel.execute([StopDaemon(SyncRole.BACKUP), StopDaemon(SyncRole.BACKUP)])
    left = kernel.read().daemons or {}
    assert {role: daemon.sync_id for role, daemon in left.items()} == {SyncRole.MASTER: 4}
    kernel.execute([StopDaemon(SyncRole.MASTER)])
    assert kernel.read().daemons == {}


def test_a_sync_daemon_on_an_interface_that_is_not_there_is_refused(kernel: NetlinkKernel) -> None:
    error = refused(kernel, StartDaemon(SyncDaemon(role=SyncRole.MASTER, interface="nowhere")))
    assert str(error) == "start master sync daemon on nowhere: no interface nowhere"


def test_a_server_of_another_family_does_not_go_with_a_sync_daemon(
    gateway: Host, kernel: NetlinkKernel
) -> None:
    interface = gateway.run(["ip", "-o", "route", "get", "10.9.0.2"]).stdout.split()[2]
    kernel.execute(
        [StartDaemon(SyncDaemon(role=SyncRole.MASTER, interface=interface)), AddService(WEB, RR)]
    )
    other = ServerKey(ip_address("fd00::1"), Port(80))
    tunnel = Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel())
    assert "while a sync daemon runs" in (refused(kernel, AddServer(WEB, other, tunnel)).hint or "")


def test_a_kernel_that_was_closed_is_connected_again_where_it_is_used(gateway: Host) -> None:
    kernel = gateway.call(open_kernel)
    kernel.execute([AddService(WEB, RR)])
    kernel.close()
    try:
        assert gateway.call(kernel.read).services.keys() == {WEB}
        assert kernel.read().services.keys() == {WEB}
    finally:
        kernel.close()
