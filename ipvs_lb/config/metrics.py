"""The block `metrics`: its form, and the settings it means."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from pydantic import Field

from ipvs_lb.config.api import ListenAddress, MaybeToken
from ipvs_lb.config.check_forms import MaybeFile
from ipvs_lb.config.fields import Form
from ipvs_lb.config.kinds import Boolean, MaybePort
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.tree import Block, Spot
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.metrics import MetricsListener, MetricsSettings


class MetricsForm(Form):
    """What the daemon shows to Prometheus, and where; docs/how-to/metrics.md shows it."""

    port: MaybePort = Field(
        default=None,
        description="TCP port on which there is `/metrics` and nothing else. Default: no own port; the API has it.",
    )
    address: ListenAddress = Field(
        default=ip_address("127.0.0.1"), description="Where that is; `0.0.0.0` or `::` for all."
    )
    servers: Boolean = Field(
        default=True,
        description="Series of every single server; without, those of services are left.",
    )
    kernel: Boolean = Field(
        default=True,
        description="Series of the kernel's table under the names that node_exporter gives them, `node_ipvs_...`.",
    )
    token: MaybeToken = Field(
        default=None,
        description="Bearer token that is asked for. Best as a reference to the environment, `${NAME}`.",
    )
    token_file: MaybeFile = Field(
        default=None, description="File that holds the token, and nothing else. Instead of `token`."
    )
    certificate: MaybeFile = Field(
        default=None,
        description="The server's certificate with its chain, PEM. Without it there is no TLS.",
    )
    key: MaybeFile = Field(
        default=None,
        description="The certificate's key, PEM, not encrypted. Default: in the certificate's file.",
    )
    client_ca: MaybeFile = Field(
        default=None,
        description="Certificates, PEM, of those who sign clients' certificates, which are then required.",
    )


_OF_LISTENER = ("address", "token", "token_file", "certificate", "key", "client_ca")


def metrics_settings(
    form: MetricsForm, raw: Block, others: Iterable[ApiListener], spot: Spot, problems: Problems
) -> MetricsSettings:
    """The settings of the block at *spot*; everything that does not go together is a problem."""
    settings = MetricsSettings(servers=form.servers, kernel=form.kernel)
    if form.port is None:
        for key in _OF_LISTENER:
            if key in raw:
                spot.at(key).note(problems, f"{key} goes with port, which is missing", at_key=True)
        return settings
    listener = MetricsListener(
        address=form.address,
        port=form.port,
        token=form.token,
        token_file=form.token_file,
        certificate=form.certificate,
        key=form.key,
        client_ca=form.client_ca,
        origin=f"{spot.place(at_key=True)}: metrics",
    )
    for key, what in listener.flaws():
        spot.at(key).note(problems, what, at_key=True)
    for other in others:
        if listener.covers(other):
            spot.at("port").note(problems, f"{other} is already listened on: {other.origin}")
    return MetricsSettings(servers=form.servers, kernel=form.kernel, listener=listener)
