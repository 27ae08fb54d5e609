"""The block `api`: its forms, and the listeners they mean.

No message shows a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field

from ipvs_lb.config import values
from ipvs_lb.config.check_forms import MaybeFile
from ipvs_lb.config.fields import Form, Scalar, number_json, text_json
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.tree import Spot
from ipvs_lb.model.api import TOKEN_WANTED, ApiListener, ApiSettings, is_token
from ipvs_lb.model.identity import IPAddress, Port

MAX_LISTENERS = 16
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared with, not bound to


def token(value: object) -> str:
    """A bearer token; the message does not repeat what was found."""
    found = str(value) if isinstance(value, str | int) else ""
    if not is_token(found):
        raise ValueError(TOKEN_WANTED)
    return found


def _address(value: object) -> IPAddress:
    """An address of this machine, or all of a family."""
    if isinstance(value, str) and value in _WILDCARDS:
        return ip_address(value)
    return values.address(value)


ListenAddress = Annotated[IPAddress, Scalar(_address, "IP address", {"type": "string"})]
ListenPort = Annotated[Port, Scalar(values.port, "port 1..65535", number_json(1, 65535))]
MaybeToken = Annotated[str | None, Scalar(token, "text", text_json(minLength=1))]


class ApiListenerForm(Form):
    """A TCP port on which the daemon's API answers whoever has a token or a client certificate."""

    address: ListenAddress = Field(
        description="IPv4 or IPv6 address; `0.0.0.0` or `::` for all. It may come up later."
    )
    port: ListenPort = Field(description="TCP port.")
    token: MaybeToken = Field(
        default=None,
        description="Bearer token; whoever has it may do everything. Best as a reference to the environment, `${NAME}`.",
    )
    token_file: MaybeFile = Field(
        default=None, description="File that holds the token, and nothing else. Instead of `token`."
    )
    read_only_token: MaybeToken = Field(
        default=None,
        description="Another token; whoever has it may see everything and order nothing. Where it stands alone, nobody "
        "may order anything here.",
    )
    read_only_token_file: MaybeFile = Field(
        default=None,
        description="File that holds the read-only token, and nothing else. Instead of `read_only_token`.",
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
    client_ca: MaybeFile = Field(
        default=None,
        description="Certificates, PEM, of those who sign clients' certificates, which are then required.",
    )


class ApiForm(Form):
    """The API on TCP; its unix socket is there in any case."""

    listen: list[ApiListenerForm] = Field(
        default=[], description="Where it listens. Default: nowhere."
    )


def api_settings(form: ApiForm, spot: Spot, problems: Problems) -> ApiSettings:
    """The listeners of the block at *spot*; everything that does not go together is a problem."""
    listeners = tuple(_listeners(form, spot))
    if len(listeners) > MAX_LISTENERS:
        what = f"{len(listeners)} listeners, expected at most {MAX_LISTENERS}"
        spot.at("listen").note(problems, what)
        return ApiSettings()
    for index, listener in enumerate(listeners):
        where = spot.at("listen", index)
        for key, what in listener.flaws():
            where.at(key).note(problems, what, at_key=True)
        for first, other in enumerate(listeners[:index]):
            if listener.covers(other):
                place = spot.at("listen", first).place()
                where.note(problems, f"{other} is already listened on at {place}")
    return ApiSettings(listen=listeners)


def _listeners(form: ApiForm, spot: Spot) -> Iterator[ApiListener]:
    for index, one in enumerate(form.listen):
        place = spot.at("listen", index).place()
        yield ApiListener(
            address=one.address,
            port=one.port,
            token=one.token,
            token_file=one.token_file,
            read_only_token=one.read_only_token,
            read_only_token_file=one.read_only_token_file,
            certificate=one.certificate,
            key=one.key,
            client_ca=one.client_ca,
            origin=f"{place}: api.listen.{index}",
        )
