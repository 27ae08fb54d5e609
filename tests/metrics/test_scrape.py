"""`GET /metrics` over real sockets: beside the API, behind its token, and alone on a port of its own."""

import gzip
import http.client
from contextlib import contextmanager, suppress
from ipaddress import ip_address

import pytest

from ipvs_lb.api import connection
from ipvs_lb.api.traffic import Traffic
from ipvs_lb.errors import KernelError
from ipvs_lb.metrics.app import Metrics
from ipvs_lb.metrics.counts import Counts
from ipvs_lb.metrics.text import CONTENT_TYPE
from ipvs_lb.model.api import ApiListener, Face
from ipvs_lb.model.identity import Port
from ipvs_lb.model.metrics import MetricsListener
from tests.fake_control import FakeControl, many
from tests.metrics.world import TABLE, TOTALS, series, value
from tests.probes.servers import free_port
from tests.running_api import Running

pytestmark = pytest.mark.real_time
HERE = ip_address("127.0.0.1")


@contextmanager
def served(tmp_path, *listeners, control=None, text=(TABLE, TOTALS)):
    control = control or FakeControl().everything_up()
    traffic = Traffic()
    metrics = Metrics(control, counts=Counts(), traffic=traffic, read_text=lambda: text)
    faces = {Face.METRICS: metrics.app()}
    more = {"more": [metrics.route], "traffic": traffic, "faces": faces}
    with Running(control, tmp_path / "api.sock", **more).up(*listeners) as running:
        yield running


def read(running=None, port=None, path="/metrics", **headers):
    """Status, headers and body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port or 80, timeout=20)
    if running is not None:
        connection.sock = running.connect()
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_it_is_beside_the_api_and_counts_what_was_asked_by_route_and_not_by_path(tmp_path):
    with served(tmp_path) as running:
        status, headers, body = read(running)
        assert (status, headers["content-type"]) == (200, CONTENT_TYPE)
        assert value(body.decode(), "node_ipvs_connections_total") == 31
        running.get("/v1/servers/web/server-1/explain")
        running.get("/v1/servers/server-2/explain")
        running.get("/openapi.json")
        for path in ("/v1/secret-1", "/v1/secret-2"):
            assert running.ask("GET", path)[0] == 404
        assert running.ask("POST", "/v1/status", {})[0] == 405
        assert running.ask("BREW", "/v1/status")[0] == 405
        body = read(running)[2].decode()
    asked = {
        (labels["method"], labels["route"], labels["code"]): number
        for (name, pairs), number in series(body).items()
        if name == "ipvs_lb_api_requests_total" and (labels := dict(pairs))["face"] == "native"
    }
    assert asked == {
        ("GET", "/metrics", "200"): 2,
        ("GET", "/v1/servers/{server}/explain", "200"): 2,
        ("GET", "/openapi.json", "200"): 1,
        ("GET", "other", "404"): 2,
        ("POST", "other", "405"): 1,
        ("other", "other", "405"): 1,
    }


def test_on_the_api_s_port_it_asks_for_the_api_s_token(tmp_path):
    port = free_port()
    with served(tmp_path, ApiListener(address=HERE, port=Port(port), token="hush")):
        assert read(port=port)[0] == 401
        status, _, body = read(port=port, Authorization="Bearer hush")
        assert status == 200
        refused = {"face": "native", "method": "GET", "route": "other", "code": "401"}
        assert value(body.decode(), "ipvs_lb_api_requests_total", **refused) == 1


def test_on_its_own_port_there_is_nothing_else_and_a_token_only_where_one_is_set(tmp_path):
    open_port, closed_port = free_port(), free_port()
    with served(
        tmp_path,
        MetricsListener(address=HERE, port=Port(open_port)),
        MetricsListener(address=HERE, port=Port(closed_port), token="hush"),
    ):
        assert read(port=open_port)[0] == 200
        for path in ("/v1/status", "/v1/health", "/openapi.json", "/"):
            assert read(port=open_port, path=path)[0] == 404
        assert read(port=closed_port)[0] == 401
        assert read(port=closed_port, Authorization="Bearer hush")[0] == 200


def test_it_is_compressed_for_those_who_take_that(tmp_path):
    control = FakeControl(config=many(50, 20)).everything_up()
    with served(tmp_path, control=control) as running:
        _, headers, packed = read(running, **{"Accept-Encoding": "gzip"})
        _, plain_headers, plain = read(running)
    assert headers["content-encoding"] == "gzip"
    assert plain_headers["content-encoding"] is None
    assert len(packed) * 5 < len(plain)
    assert series(gzip.decompress(packed).decode()).keys() - series(plain.decode()).keys() == set()


def test_a_kernel_that_cannot_be_asked_is_a_series_and_no_error(tmp_path):
    control = FakeControl().everything_up()
    control.broken["kernel"] = KernelError("gone")
    with served(tmp_path, control=control, text=None) as running:
        status, _, body = read(running)
    assert status == 200
    assert value(body.decode(), "ipvs_lb_kernel_up") == 0
    assert not [name for name, _ in series(body.decode()) if name.startswith("node_")]


def test_connections_that_come_to_no_answer_are_counted_by_why(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "HEADER_TIME", 0.5)
    with served(tmp_path) as running:
        for said in (b"\x16\x03\x01nothing\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"x" * 70_000):
            with running.connect() as client:
                client.sendall(said)
                client.recv(100)
        with running.connect() as client:
            client.sendall(b"GET /metrics HT")
            with suppress(ConnectionResetError):
                assert client.recv(100) == b""
        body = read(running)[2].decode()
    for reason in ("no_http", "long_head", "slow"):
        refused = {"face": "native", "reason": reason}
        assert value(body, "ipvs_lb_api_connections_refused_total", **refused) == 1
