"""`ipvs-lb run` with an API on TCP: begun, reloaded and refused as its configuration says."""

from __future__ import annotations

import signal
import socket
from contextlib import closing
from pathlib import Path

import pytest
import requests

from ipvs_lb.cli.daemon import Daemon as Face
from ipvs_lb.cli.reach import Remote
from ipvs_lb.errors import ConfigError, DaemonError, UsageError
from tests.daemon.test_life import PATIENCE, Running, config, has_ipvs, listening, running
from tests.metrics.world import value
from tests.probes.servers import Authority, free_port

pytestmark = pytest.mark.real_time
TOKEN = "a-token-of-some-length"
OTHER = "a-token-that-comes-later"


@pytest.fixture(scope="module", autouse=True)
def _no_ipvs() -> None:
    if has_ipvs():
        pytest.skip("this kernel has IPVS, and a test is not to change it")


def block(*entries: str) -> str:
    return f"api: {{listen: [{', '.join(f'{{{entry}}}' for entry in entries)}]}}"


def ask(port: int, token: str, ca_file: Path | None = None) -> object:
    where = Remote(
        host="127.0.0.1", port=port, token=token, secure=ca_file is not None, ca_file=ca_file
    )
    return Face(where, patience=PATIENCE).get("/v1/health", also=(503,))["status"]


def test_listeners_come_change_and_go_with_reloads_and_no_token_is_to_be_seen(
    tmp_path: Path,
) -> None:
    authority, token = Authority(tmp_path), tmp_path / "token"
    certificate, key = authority.issue("127.0.0.1")
    token.write_text(TOKEN)
    plain, secure = free_port(), free_port()
    files = f"token_file: {token}, certificate: {certificate}, key: {key}"
    secured = f"address: 127.0.0.1, port: {secure}, {files}"
    with listening() as server:

        def text(*entries: str) -> str:
            return config(server.getsockname()[1], more=block(*entries))

        begun = text(f"address: 127.0.0.1, port: {plain}, token: {TOKEN}")
        with running(tmp_path, begun) as daemon:
            assert ask(plain, TOKEN) == "failing"  # this kernel has no IPVS
            with pytest.raises(UsageError, match="not the right one"):
                ask(plain, OTHER)
            assert daemon.event("client.refused")["address"] == "127.0.0.1"

            daemon.config.write_text(text(secured))
            daemon.face.post("/v1/reload")
            assert ask(secure, TOKEN, authority.file) == "failing"
            with pytest.raises(DaemonError, match="cannot be reached"):
                ask(plain, TOKEN)

            token.unlink()
            with pytest.raises(ConfigError) as refused:
                daemon.face.post("/v1/reload")
            (problem,) = refused.value.problems
            assert problem.endswith(
                f"lb.yaml:2:16: api.listen.0: token_file: cannot read {token}: No such file or directory"
            )
            assert ask(secure, TOKEN, authority.file) == "failing"

            token.write_text(f"{OTHER}\n")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.event("config.loaded", after=int(str(daemon.event("config.refused")["number"])))
            assert ask(secure, OTHER, authority.file) == "failing"
            with pytest.raises(UsageError):
                ask(secure, TOKEN, authority.file)
            status = str(daemon.face.get("/v1/status"))
            events = str(daemon.face.get("/v1/events"))
            daemon.end(signal.SIGTERM)
        kept = b"".join(path.read_bytes() for path in daemon.state.iterdir() if path.is_file())
        for place in (status, events, daemon.log.read_text(), kept.decode("latin-1")):
            assert TOKEN not in place
            assert OTHER not in place


def test_a_renewed_certificate_is_a_change_where_changes_are_watched_for(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    certificate, key = authority.issue("127.0.0.1")
    entry = (
        f"address: 127.0.0.1, port: {port}, token: {TOKEN}, certificate: {certificate}, key: {key}"
    )
    with listening() as server:
        more = f"daemon: {{watch: yes}}\n{block(entry)}"
        with running(tmp_path, config(server.getsockname()[1], more=more)) as daemon:
            last = daemon.last()
            later = Authority(tmp_path)
            later.issue("127.0.0.1")
            daemon.event("config.loaded", after=last)
            assert ask(port, TOKEN, later.file) == "failing"


def test_it_does_not_begin_with_an_address_in_use_but_systemd_may_try_again(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        more = block(f"address: 127.0.0.1, port: {port}, token: {TOKEN}")
        with closing(Running(tmp_path, config(port, more=more))) as daemon:
            assert daemon.process.wait(PATIENCE) == 1
            told = daemon.log.read_text()
    assert f"api.listen.0: cannot listen on 127.0.0.1:{port}: Address already in use" in told
    assert "Traceback" not in told


def test_metrics_have_a_port_of_their_own_that_follows_reloads_and_count_what_went_wrong(
    tmp_path: Path,
) -> None:
    first, second = free_port(), free_port()

    def page(port: int) -> str:
        answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE)
        assert answer.status_code == 200
        return answer.text

    with listening() as server:
        to = server.getsockname()[1]
        with running(tmp_path, config(to, more=f"metrics: {{port: {first}}}")) as daemon:
            daemon.event("server.up")
            said = page(first)
            assert value(said, "ipvs_lb_kernel_up") == 0  # this kernel has no IPVS
            assert value(said, "ipvs_lb_kernel_failures_total") > 0
            assert value(said, "ipvs_lb_probe_results_total", check="tcp", result="passed") > 0
            assert value(said, "ipvs_lb_events_total", event="kernel.failed", level="error") == 1

            daemon.config.write_text(config(to, more=f"metrics: {{port: {second}, servers: no}}"))
            daemon.face.post("/v1/reload")
            assert "ipvs_lb_server_up" not in page(second)
            with pytest.raises(requests.ConnectionError):
                page(first)

            daemon.config.write_text(config(to, more=f"metrics: {{port: {to}}}"))
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{to}: Address"):
                daemon.face.post("/v1/reload")
            said = page(second)
            assert value(said, "ipvs_lb_config_last_reload_successful") == 0
            assert value(said, "ipvs_lb_config_reloads_total", outcome="refused") == 1
            route = {"face": "native", "method": "POST", "route": "/v1/reload"}
            assert value(said, "ipvs_lb_api_requests_total", **route, code="422") == 1
            assert value(said, "ipvs_lb_api_requests_total", **route, code="200") == 1
            daemon.end(signal.SIGTERM)
