"""The block `metrics`: what it means, and what is refused and where."""

from __future__ import annotations

import pytest

from ipvs_lb.config import loads
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.api import Face
from ipvs_lb.model.config import Config
from ipvs_lb.model.metrics import MetricsSettings


def load(metrics: str, more: str = "") -> Config:
    return loads(f"version: 1\nmetrics: {metrics}\n{more}", name="lb.yaml", environ={})


def test_everything_is_shown_and_on_no_port_of_its_own_unless_it_is_said() -> None:
    for said in (loads("version: 1"), load("{}")):
        assert said.metrics == MetricsSettings(servers=True, kernel=True, listener=None)
        assert said.listeners == ()


def test_the_block_means_what_it_says() -> None:
    config = load(
        "{address: '::', port: 9750, servers: no, kernel: no, certificate: /c, token_file: /t}"
    )
    listener = config.metrics.listener
    assert listener is not None
    assert (str(listener), listener.face, listener.files) == (
        "[::]:9750",
        Face.METRICS,
        ("/t", "/c"),
    )
    assert listener.origin == "lb.yaml:2:1: metrics"
    assert (config.metrics.servers, config.metrics.kernel) == (False, False)
    assert config.listeners == (listener,)


def test_everybody_may_read_it_from_anywhere_where_that_is_said() -> None:
    assert str(load("{address: 0.0.0.0, port: 9750}").metrics.listener) == "0.0.0.0:9750"
    assert str(load("{port: 9750, token: x}").metrics.listener) == "127.0.0.1:9750"


API = "api: {listen: [{address: 127.0.0.1, port: 9750, token: x}]}"


@pytest.mark.parametrize(
    ("metrics", "more", "problem"),
    [
        pytest.param(
            "{address: 10.0.0.1}",
            "",
            "lb.yaml:2:11: metrics.address: address goes with port, which is missing",
            id="address-without-port",
        ),
        pytest.param(
            "{port: 9750, key: /k}",
            "",
            "lb.yaml:2:23: metrics.key: a key goes with a certificate, which is missing",
            id="key-without-certificate",
        ),
        pytest.param(
            "{port: 9750, client_ca: /k}",
            "",
            "lb.yaml:2:23: metrics.client_ca: client certificates go with TLS: certificate is missing",
            id="client-certificates-without-tls",
        ),
        pytest.param(
            "{port: 9750, token: x, token_file: /t}",
            "",
            "lb.yaml:2:33: metrics.token_file: either token or token_file, not both",
            id="two-tokens",
        ),
        pytest.param(
            "{address: 10.0.0.1, port: 9750, token: x}",
            "",
            "lb.yaml:2:10: metrics.certificate: required key is missing: without TLS a token goes to a loopback "
            "address only",
            id="token-over-the-wire",
        ),
        pytest.param(
            "{port: 9750}",
            API,
            "lb.yaml:2:17: metrics.port: 127.0.0.1:9750 is already listened on: lb.yaml:3:16: api.listen.0",
            id="port-of-the-api",
        ),
        pytest.param(
            "{port: 0}",
            "",
            "lb.yaml:2:17: metrics.port: expected a port from 1 to 65535, found 0",
            id="no-port",
        ),
        pytest.param(
            "{server: no}",
            "",
            'lb.yaml:2:11: metrics.server: unknown key, did you mean "servers"?',
            id="misspelt",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_with_its_place(
    metrics: str, more: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(metrics, more)
    assert list(refused.value.problems) == [problem]
