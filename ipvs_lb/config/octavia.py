"""The block `octavia`: its forms, and the settings of the compatible API that they mean."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field

from ipvs_lb.config import values
from ipvs_lb.config.api import ListenAddress, ListenPort
from ipvs_lb.config.check_forms import MaybeFile
from ipvs_lb.config.fields import Form, Scalar, text_json
from ipvs_lb.config.kinds import Boolean, Name, Translation, seconds, whole, word
from ipvs_lb.config.problems import Problems, shown
from ipvs_lb.config.tree import Spot
from ipvs_lb.model.api import ApiSettings
from ipvs_lb.model.cloud import (
    Identification,
    Network,
    OctaviaListener,
    OctaviaSettings,
    identifier_of,
)
from ipvs_lb.model.host import SourceNat
from ipvs_lb.model.identity import Port

PORT = Port(9876)
MAX_QUOTA = 2_000_000_000


def _project_id(value: object) -> str:
    """What stands as `project_id` on every object."""
    found = values.text(value)
    if not re.fullmatch(r"[\w.-]{1,36}", found, re.ASCII):
        raise ValueError(f"expected at most 36 letters, digits and _ . -, found {shown(value)}")
    return found


MaybeProject = Annotated[
    str | None, Scalar(_project_id, "text", text_json(minLength=1, maxLength=36))
]
WayIn = Annotated[Identification, word("way", values.words(Identification))]
MaybeQuota = Annotated[int | None, whole(-1, MAX_QUOTA)]


class QuotasForm(Form):
    """How many objects of each kind a project may have; -1 is no limit."""

    loadbalancer: MaybeQuota = Field(default=None, description="Load balancers.")
    listener: MaybeQuota = Field(default=None, description="Listeners.")
    pool: MaybeQuota = Field(default=None, description="Pools.")
    member: MaybeQuota = Field(default=None, description="Members.")
    healthmonitor: MaybeQuota = Field(default=None, description="Health monitors.")


class OctaviaForm(Form):
    """The API that OpenStack's clients speak to; docs/how-to/octavia.md shows it."""

    address: ListenAddress = Field(
        default=ip_address("127.0.0.1"), description="Where it listens; `0.0.0.0` or `::` for all."
    )
    port: ListenPort = Field(default=PORT, description="TCP port.")
    socket: MaybeFile = Field(
        default=None,
        description="Path of a unix socket to listen on instead, for the group of the daemon's own socket.",
    )
    certificate: MaybeFile = Field(
        default=None,
        description="The server's certificate with its chain, PEM. Without it there is no TLS, which is for loopback "
        "addresses only.",
    )
    key: MaybeFile = Field(
        default=None,
        description="The certificate's key, PEM, not encrypted. Default: in the certificate's file.",
    )
    auth: WayIn = Field(
        default=Identification.PASSWORD,
        description="`password`: names and passwords, by HTTP basic authentication or for a token of the identity "
        "service that comes with it. `none`: everybody may do everything, on a loopback address or a unix socket only.",
    )
    users: MaybeFile = Field(
        default=None,
        description="File with a line `NAME:HASH:ROLE` or `NAME:HASH:ROLE:PROJECT` for each user; `ipvs-lb octavia "
        "password` makes one. Roles: `admin`, `member` (one project), `observer` (looks at one project).",
    )
    token_file: MaybeFile = Field(
        default=None,
        description="File that holds a token, and nothing else: whoever sends it as X-Auth-Token may do everything.",
    )
    project_name: Name = Field(default="default", description="The project of users without one.")
    project_id: MaybeProject = Field(
        default=None, description="Its identifier. Default: made from the name."
    )
    region: Name = Field(default="RegionOne", description="The region in the catalog.")
    token_lifetime: Annotated[float, seconds(60, 7 * values.DAY)] = Field(
        default=float(values.HOUR), description="How long a token counts."
    )
    source_nat: Translation = Field(
        default=SourceNat.AUTO,
        description="Whether clients in the members' own subnet are translated, so that answers come back this way.",
    )
    file_services: Boolean = Field(
        default=True,
        description="Whether the services of the configuration's files are shown, for looking only, as load balancers of "
        "that project.",
    )
    quotas: QuotasForm = Field(
        default=QuotasForm(), description="What a project may have where nothing else is said."
    )


def octavia_settings(
    form: OctaviaForm,
    networks: tuple[Network, ...],
    api: ApiSettings,
    spot: Spot,
    problems: Problems,
) -> OctaviaSettings:
    """The settings of the block at *spot*; everything that does not go together is a problem."""
    listener = OctaviaListener(
        address=form.address,
        port=form.port,
        certificate=form.certificate,
        key=form.key,
        path=form.socket,
        identification=form.auth,
        origin=f"{spot.place(at_key=True)}: octavia",
    )
    for key, what in listener.flaws():
        spot.at(key).note(problems, what, at_key=True)
    _check_users(form, spot, problems)
    _check_socket(form, spot, problems)
    for other in api.listen:
        if listener.covers(other):
            spot.at("port").note(problems, f"{other} is already listened on: {other.origin}")
    if not networks and "networks" not in spot.tree.root:
        spot.note(problems, "networks to have addresses from are missing", at_key=True)
    return OctaviaSettings(
        listener=listener,
        users=form.users,
        token_file=form.token_file,
        project_id=form.project_id or identifier_of("project", form.project_name).replace("-", ""),
        project_name=form.project_name,
        region=form.region,
        token_lifetime=form.token_lifetime,
        source_nat=form.source_nat,
        limits={
            kind: limit for kind, limit in form.quotas.model_dump().items() if limit is not None
        },
        networks=networks,
        file_services=form.file_services,
    )


def _check_users(form: OctaviaForm, spot: Spot, problems: Problems) -> None:
    if form.auth is Identification.PASSWORD:
        if form.users is None and form.token_file is None:
            what = "it must know who asks: users or token_file is missing"
            spot.at("users").note(problems, what)
        return
    for key in ("users", "token_file"):
        if getattr(form, key) is not None:
            what = f"{key} goes with auth: password"
            spot.at(key).note(problems, what, at_key=True)


def _check_socket(form: OctaviaForm, spot: Spot, problems: Problems) -> None:
    """A unix socket has no address, no port and no TLS."""
    if form.socket is None:
        return
    for key in ("address", "port", "certificate", "key"):
        if key in form.model_fields_set:
            spot.at(key).note(problems, f"either socket or {key}, not both", at_key=True)
