"""Where the API listens, and who is let in."""

import asyncio
import grp
import http.client
import json
import os
import pwd
import signal
import socket
import ssl
import stat
import time
from ipaddress import ip_address

import pytest

from ipvs_lb.api.peers import Peer, knows, name_of
from ipvs_lb.api.server import serve, serving
from ipvs_lb.errors import LBError
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.identity import Port
from tests.fake_control import FakeControl
from tests.probes.servers import Authority, free_port
from tests.running_api import Running

LOOPBACK = ip_address("127.0.0.1")


async def start_and_stop(path, **settings):
    async with serving(FakeControl(), path, **settings):
        return path.stat()


@pytest.mark.real_time
async def test_the_socket_is_for_its_group_and_gone_afterwards(tmp_path):
    path = tmp_path / "run" / "api.sock"
    found = await start_and_stop(path, group=grp.getgrgid(os.getgid()).gr_name)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert list(path.parent.iterdir()) == []


@pytest.mark.real_time
async def test_a_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    await start_and_stop(path)
    assert not path.exists()


@pytest.mark.real_time
async def test_a_socket_somebody_listens_on_is_left_alone(tmp_path):
    path = tmp_path / "api.sock"
    async with serving(FakeControl(), path):
        with pytest.raises(LBError, match="another ipvs-lb listens there already"):
            await start_and_stop(path)
        assert path.is_socket()


@pytest.mark.real_time
async def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(LBError, match="no socket"):
        await start_and_stop(path)
    assert path.read_text() == "precious"


@pytest.mark.real_time
async def test_a_socket_that_another_has_put_there_stays(tmp_path):
    path = tmp_path / "api.sock"
    async with serving(FakeControl(), path):
        path.unlink()
        path.write_text("of another")
    assert path.read_text() == "of another"


@pytest.mark.real_time
async def test_a_group_that_is_not_there_is_told(tmp_path):
    with pytest.raises(LBError, match="there is no group nobody-at-all"):
        await start_and_stop(tmp_path / "api.sock", group="nobody-at-all")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_time
async def test_a_path_that_is_too_long_is_told(tmp_path):
    with pytest.raises(LBError, match="too long"):
        await start_and_stop(tmp_path / ("a" * 120))


@pytest.mark.real_time
async def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LBError, match="file"):
        await start_and_stop(tmp_path / "file" / "api.sock")


@pytest.mark.real_time
async def test_serving_ends_when_it_is_cancelled_and_takes_no_signal(tmp_path):
    path = tmp_path / "api.sock"
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serve(FakeControl(), path))
        async with asyncio.timeout(10):
            while not path.exists():  # noqa: ASYNC110  # nobody tells when it is there
                await asyncio.sleep(0.01)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        task.cancel()
    assert not path.exists()


def ask(port, *, context=None, **headers):
    if context is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        body = json.dumps({"servers": ["web/server-1"], "action": "drain"})
        headers["Content-Type"] = "application/json"
        connection.request("POST", "/v1/servers/override", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer s3cre"}, 401),
        ({"Authorization": "Basic s3cret"}, 401),
        ({"Authorization": "Bearer s3cret\u00e9"}, 401),
        ({"Authorization": "Bearer s3cret"}, 200),
        ({"Authorization": "bearer  s3cret "}, 200),
    ],
)
def test_the_tcp_port_asks_for_its_token(tmp_path, headers, status):
    control, port = FakeControl().everything_up(), free_port()
    tcp = ApiListener(address=LOOPBACK, port=Port(port), token="s3cret")
    with Running(control, tmp_path / "api.sock").up(tcp) as running:
        got, answer = ask(port, **headers)
        assert running.ask("GET", "/v1/health")[0] == 200
    assert got == status
    if status == 200:
        assert answer["servers"][0]["override"]["who"] == "127.0.0.1"
    else:
        assert (answer["error"]["message"], control.overrides) == (
            "no token, or not the right one",
            {},
        )


def test_a_client_certificate_lets_in_and_names_who_asks(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("127.0.0.1")
    client_certificate, client_key = authority.issue("alice", file="alice")
    port = free_port()
    tcp = ApiListener(
        address=LOOPBACK,
        port=Port(port),
        certificate=str(certificate),
        key=str(key),
        client_ca=str(authority.file),
    )
    trusting = ssl.create_default_context(cafile=str(authority.file))
    control = FakeControl().everything_up()
    with Running(control, tmp_path / "api.sock").up(tcp):
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            ask(port, context=trusting)
        assert control.overrides == {}
        trusting.load_cert_chain(client_certificate, client_key)
        status, answer = ask(port, context=trusting)
    assert status == 200
    assert answer["servers"][0]["override"]["who"] == "alice from 127.0.0.1"


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (Peer(uid=0), pwd.getpwuid(0).pw_name),
        (Peer(uid=3_999_999), "uid 3999999"),
        (Peer(address="10.0.0.9"), "10.0.0.9"),
        (Peer(address="10.0.0.9", certificate="bob"), "bob from 10.0.0.9"),
    ],
)
async def test_a_peer_has_a_name(peer, name):
    assert await name_of(peer) == name


def test_a_token_is_compared_as_a_whole():
    assert knows("abc", "Bearer abc")
    assert not knows("abc", "Bearer abcd")
    assert not knows("abc", None)


def test_a_handshake_that_does_not_come_does_not_stop_the_server(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("127.0.0.1")
    port = free_port()
    tcp = ApiListener(
        address=LOOPBACK, port=Port(port), token="x", certificate=str(certificate), key=str(key)
    )
    served = Running(FakeControl(), tmp_path / "api.sock")
    with served.up(tcp), socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"\x16\x03\x01")
        status, _ = ask(port, context=ssl._create_unverified_context(), Authorization="Bearer x")
        assert status == 200
        start = time.monotonic()
    assert time.monotonic() - start < 5
