"""Every dialogue against the program it is meant for, started on loopback in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import grpc
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from ipvs_lb.model.checks import (
    DnsCheck,
    GrpcCheck,
    HttpCheck,
    MysqlCheck,
    PostgresCheck,
    RedisCheck,
    SmtpCheck,
    TcpCheck,
    Tls,
    TlsCheck,
)
from ipvs_lb.model.results import ErrorClass
from tests.probes.servers import Authority, free_port, run

pytestmark = pytest.mark.real_time

SEARCHED = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
)


def program(name: str, package: str) -> str:
    path = shutil.which(name, path=SEARCHED)
    if path is None:
        pytest.fail(f"{name} is not installed: apt-get install {package}")
    return path


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that unprivileged servers can enter; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="ipvs-lb-servers-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextmanager
def started(*command: str | Path, port: int, user: str | None = None) -> Iterator[int]:
    """Run a server until the end of the block; the block begins once the port is open."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=user,
    )
    try:
        _wait_until_open(port, process)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    process.kill()
    output, _ = process.communicate(timeout=5)
    pytest.fail(f"the server did not open its port:\n{output.decode(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def authority(folder):
    return Authority(folder)


NGINX = """
daemon off; master_process off; error_log stderr; pid {folder}/nginx.pid;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{secure} ssl;
    ssl_certificate {chain}; ssl_certificate_key {key};
    location = /health {{ return 200 "status: healthy"; }}
    location = /moved {{ return 302 /health; }}
    location = /teapot {{ return 418; }}
    location = /host {{ return 200 $host; }}
    location = /post {{ if ($request_method != POST) {{ return 405; }} return 204; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(folder, authority) -> Iterator[tuple[int, int]]:
    plain, secure = free_port(), free_port()
    chain, key = authority.issue("web.test", days=20)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, plain=plain, secure=secure, chain=chain, key=key))
    command = (program("nginx", "nginx-light"), "-p", folder, "-c", config)
    with started(*command, port=plain):
        yield plain, secure


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_nginx_is_healthy(nginx, version):
    check = HttpCheck(
        path="/health", http_version=version, body_contains="healthy", body_regex="^status: h"
    )
    assert (await run(check, nginx[0])).passed
    assert (await run(TcpCheck(), nginx[0])).passed


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (HttpCheck(path="/host", host="web.test:81", body_contains="web.test"), None),
        (HttpCheck(path="/post", method="POST", body=b"x", expect_codes=((204, 204),)), None),
        (HttpCheck(path="/health", method="HEAD"), None),
        (HttpCheck(path="/moved"), ErrorClass.STATUS),
        (HttpCheck(path="/moved", expect_codes=((300, 399),)), None),
        (HttpCheck(path="/teapot"), ErrorClass.STATUS),
        (HttpCheck(path="/health", body_contains="ill"), ErrorClass.BODY),
    ],
)
async def test_nginx_answers_as_it_is_asked(nginx, check, error):
    assert (await run(check, nginx[0])).error is error


async def test_nginx_speaks_tls(nginx, authority):
    verifying = Tls(server_name="web.test", verify=True, ca_file=str(authority.file))
    good = HttpCheck(path="/health", body_contains="healthy", tls=verifying)
    assert (await run(good, nginx[1])).passed
    stranger = HttpCheck(tls=Tls(verify=True, ca_file=str(authority.file)))
    assert (await run(stranger, nginx[1])).error is ErrorClass.TLS
    assert (await run(TlsCheck(min_days=10), nginx[1])).passed
    assert (await run(TlsCheck(min_days=21), nginx[1])).error is ErrorClass.TLS
    assert (await run(HttpCheck(tls=Tls()), nginx[0])).error is ErrorClass.TLS
    assert (await run(HttpCheck(path="/health"), nginx[1])).error is ErrorClass.STATUS


async def test_redis_answers_and_tells_its_role(folder):
    port = free_port()
    command = (program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1")
    with started(*command, "--save", "", "--dir", folder, port=port):
        assert (await run(RedisCheck(), port)).passed
        assert (await run(RedisCheck(role="master"), port)).passed
        assert (await run(RedisCheck(role="slave"), port)).error is ErrorClass.BODY


async def test_redis_with_a_password_is_alive(folder):
    port = free_port()
    command = (program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1")
    with started(*command, "--save", "", "--dir", folder, "--requirepass", "x", port=port):
        result = await run(RedisCheck(), port)
        assert result.passed
        assert result.detail == "asks for authentication"
        assert (await run(RedisCheck(role="master"), port)).error is ErrorClass.STATUS


async def test_a_name_server_resolves(folder):
    port = free_port()
    command = (program("dnsmasq", "dnsmasq-base"), "--keep-in-foreground", "--no-resolv")
    options = ("--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={port}")
    records = ("--host-record=web.test,192.0.2.7", "--txt-record=web.test,ok", "--local=/test/")
    where = (f"--pid-file={folder}/dnsmasq.pid", "--conf-file=/dev/null", "--user=")
    with started(*command, *options, *records, *where, port=port):
        for kind, answer in (("A", "192.0.2.7"), ("TXT", "ok")):
            check = DnsCheck(name="web.test", record_type=kind, answer=answer)
            assert (await run(check, port)).passed
        wrong = DnsCheck(name="web.test", record_type="A", answer="192.0.2.8")
        assert (await run(wrong, port)).error is ErrorClass.BODY
        missing = await run(DnsCheck(name="nobody.test", record_type="A"), port)
        assert (missing.error, missing.detail) == (ErrorClass.DNS, "the answer is NXDOMAIN")
        assert (await run(DnsCheck(), port)).error is ErrorClass.DNS


def _make_cluster(place: Path) -> tuple[str | None, Path]:
    """A new PostgreSQL cluster and whom it belongs to, as it does not run as root."""
    user = "nobody" if os.geteuid() == 0 else None
    cluster = place / "postgres"
    cluster.mkdir()
    if user:
        os.chown(cluster, pwd.getpwnam(user).pw_uid, -1)
    command = (
        program("initdb", "postgresql"),
        "-D",
        cluster,
        "--no-sync",
        "-A",
        "trust",
        "-U",
        "x",
    )
    subprocess.run(command, check=True, capture_output=True, user=user, cwd="/")
    return user, cluster


async def test_postgresql_is_there_and_does_not_complain_about_the_probe(folder):
    user, cluster = _make_cluster(folder)
    port, log = free_port(), cluster / "log"
    options = f"-F -p {port} -h 127.0.0.1 -k {cluster}"
    command = (
        "/bin/sh",
        "-c",
        f"exec {program('postgres', 'postgresql')} -D {cluster} {options} 2>{log}",
    )
    with started(*command, port=port, user=user):
        for _ in range(3):
            assert (await run(PostgresCheck(), port)).passed
    assert "incomplete startup packet" not in log.read_text()
    assert "ERROR" not in log.read_text()


@pytest.fixture(scope="module")
def mariadb(folder) -> Iterator[int]:
    """A server that lets everybody try, and blocks whoever breaks off three log-ins."""
    port, place, first = free_port(), folder / "mysql", folder / "first.sql"
    place.mkdir()
    first.write_text("CREATE USER IF NOT EXISTS someone@'%' IDENTIFIED BY 'secret';\n")
    common = (
        "--no-defaults",
        f"--datadir={place}",
        *(("--user=root",) if os.geteuid() == 0 else ()),
    )
    subprocess.run(
        [program("mariadb-install-db", "mariadb-server"), *common, "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    network = (f"--port={port}", "--bind-address=127.0.0.1", f"--socket={place}/s")
    limits = ("--innodb-buffer-pool-size=8M", "--max-connect-errors=2", f"--init-file={first}")
    pid = f"--pid-file={place}/pid"
    command = (program("mariadbd", "mariadb-server"), *common, *network, *limits, pid)
    with started(*command, port=port):
        yield port


async def test_mariadb_greets(mariadb):
    result = await run(MysqlCheck(), mariadb)
    assert result.passed
    assert "MariaDB" in result.detail


def _break_off(port: int, source: str) -> bytes:
    """Connect, take what the server says, and leave without a log-in."""
    with socket.create_connection(("127.0.0.1", port), source_address=(source, 0)) as sock:
        return sock.recv(4096)


async def test_mariadb_blocks_who_breaks_off_but_not_the_prober(mariadb):
    """127.0.0.1 is never blocked; every other address is a host like any."""
    last = [_break_off(mariadb, "127.0.0.2") for _ in range(6)][-1]
    assert b"blocked because of many connection errors" in last
    for _ in range(10):
        result = await run(MysqlCheck(), mariadb, source=IPv4Address("127.0.0.3"), timeout=5)
        assert result.passed
    blocked = await run(MysqlCheck(), mariadb, source=IPv4Address("127.0.0.2"))
    assert blocked.error is ErrorClass.STATUS
    assert blocked.detail.startswith("refuses: 1129 ")


async def test_an_http_server_is_no_database(nginx):
    for method in (PostgresCheck(), RedisCheck(), SmtpCheck()):
        result = await run(method, nginx[0], timeout=0.5)
        assert result.error in {ErrorClass.PROTOCOL, ErrorClass.TIMEOUT, ErrorClass.CLOSED}


async def test_a_mail_server_is_greeted():
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    with ExitStack() as undo:
        controller.start()
        undo.callback(controller.stop)
        assert (await run(SmtpCheck(helo="gateway.test"), controller.port)).passed


SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


@pytest.fixture(scope="module")
def grpc_port() -> Iterator[int]:
    def check(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"":
            return SERVING
        if request == b"\x0a\x03bad":
            return NOT_SERVING
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        raise AssertionError  # abort does not return

    method = grpc.unary_unary_rpc_method_handler(check)
    service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method})
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("service", "error", "detail"),
    [
        ("", None, ""),
        ("bad", ErrorClass.STATUS, "health is NOT_SERVING, expected SERVING"),
        ("other", ErrorClass.STATUS, 'gRPC status "5" "no such service", expected 0'),
    ],
)
async def test_a_grpc_server_reports_its_health(grpc_port, service, error, detail):
    result = await run(GrpcCheck(service=service), grpc_port)
    assert (result.error, result.detail) == (error, detail)
