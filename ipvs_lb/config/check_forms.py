"""The forms of health checks, one per type."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ipvs_lb.config import values
from ipvs_lb.config.fields import Form, Given, Listed, Scalar, text_json
from ipvs_lb.config.kinds import (
    Boolean,
    Count,
    Mark,
    MaybeAddress,
    MaybeOctets,
    MaybePort,
    Octets,
    Way,
    seconds,
    text,
    whole,
    word,
)
from ipvs_lb.model.checks import Via

MAX_INTERVAL = values.DAY

Interval = Annotated[float, seconds(0.1, MAX_INTERVAL)]
MaybeInterval = Annotated[float | None, seconds(0.1, MAX_INTERVAL)]
Text = Annotated[str, text()]
MaybeText = Annotated[str | None, text()]
_FILE = Scalar(values.file_path, "absolute path", {"type": "string"})
MaybeFile = Annotated[str | None, _FILE]
Codes = Annotated[tuple[int, int], Scalar(values.status_codes, "status code or range", text_json())]


class CheckSettings(Form):
    """What every health check has, whatever it tests."""

    interval: Interval = Field(default=5.0, description="Time between the starts of two probes.")
    fast_interval: MaybeInterval = Field(
        default=None,
        description="Time between probes while a state is changing. Default: a fifth of `interval`, at least 1s, "
        "never above `interval`.",
    )
    timeout: MaybeInterval = Field(
        default=None,
        description="Time one probe may take as a whole; below `interval`. Default: 3s, or 60% of `interval` where "
        "that is less.",
    )
    rise: Count = Field(default=2, description="Successes in a row that bring a server up.")
    fall: Count = Field(default=3, description="Failures in a row that take a server down.")
    source: MaybeAddress = Field(
        default=None, description="The gateway's address that probes come from."
    )
    mark: Mark = Field(
        default=0, description="Firewall mark (SO_MARK) on the probes' packets; 0 is none."
    )
    via: Way = Field(
        default=Via.DIRECT,
        description="The way a probe takes: straight to the server, or to the VIP through the forwarding path. With "
        "`vip`, `port` names the VIP's port where the service has none, and nothing where it has. Daemon only.",
    )


class CheckForm(CheckSettings):
    """What every health check of a service or server has."""

    address: MaybeAddress = Field(
        default=None, description="Probe this address instead of the server's."
    )
    port: MaybePort = Field(default=None, description="Probe this port instead of the server's.")


class TlsForm(Form):
    """How TLS is spoken."""

    server_name: MaybeText = Field(
        default=None, description="Name asked for (SNI) and verified. Default: `host`, if given."
    )
    verify: Boolean = Field(
        default=False, description="Verify the server's certificate and its name."
    )
    ca_file: MaybeFile = Field(
        default=None, description="PEM file of the authorities to trust instead of the system's."
    )
    certificate: MaybeFile = Field(default=None, description="PEM file of a client certificate.")
    key: MaybeFile = Field(default=None, description="PEM file of the client certificate's key.")


class TcpForm(CheckForm):
    """A TCP connection is accepted; with `send` and `expect`, the answer contains the expected bytes."""

    type: Literal["tcp"]
    send: MaybeOctets = Field(default=None, description="Bytes to send once connected.")
    expect: MaybeOctets = Field(default=None, description="Bytes the answer must contain.")


class HttpForm(CheckForm):
    """A request is answered with an expected status code and, if asked for, an expected body."""

    type: Literal["http"]
    method: Annotated[str, Scalar(values.token, "HTTP method", text_json())] = Field(
        default="GET", description="Request method."
    )
    path: Annotated[str, Scalar(values.http_path, "path", text_json())] = Field(
        default="/", description="Path and query to ask for."
    )
    host: MaybeText = Field(default=None, description="Host header. Default: the probed address.")
    headers: dict[Annotated[str, Scalar(values.token, "header name", {"type": "string"})], Text] = (
        Field(default={}, description="More request headers, by name.")
    )
    body: MaybeOctets = Field(default=None, description="Request body.")
    http_version: Annotated[str, word("HTTP version", {"1.0": "1.0", "1.1": "1.1"})] = Field(
        default="1.1", description="HTTP version."
    )
    expect: Annotated[list[Codes], Listed(",")] = Field(
        default=[(200, 200)],
        description='Status codes that pass: `200`, `200-299`, `"200-299,404"` or a list.',
    )
    body_contains: MaybeText = Field(default=None, description="Text that the body must contain.")
    body_regex: Annotated[str | None, Scalar(values.regex, "regular expression", text_json())] = (
        Field(
            default=None,
            description=f"Expression that must match in the body; at most {values.MAX_REGEX} characters.",
        )
    )
    body_limit: Annotated[int, whole(1, 1048576)] = Field(
        default=65536, description="Bytes of the body that are looked at."
    )


class HttpsForm(HttpForm):
    """As `http`, over TLS."""

    type: Literal["https"]  # type: ignore[assignment]  # the same form under another name
    tls: TlsForm = Field(default=TlsForm(), description="How TLS is spoken.")


class TlsCheckForm(CheckForm):
    """A TLS handshake completes."""

    type: Literal["tls"]
    tls: TlsForm = Field(default=TlsForm(), description="How TLS is spoken.")
    min_days: Annotated[int | None, whole(0, 3650)] = Field(
        default=None, description="Days that must be left until the certificate expires."
    )


class UdpForm(CheckForm):
    """A datagram is not refused; with `expect`, the answer equals it under `mask`."""

    type: Literal["udp"]
    payload: Octets = Field(default=b"", description="Bytes to send.")
    expect: MaybeOctets = Field(default=None, description="Bytes the answer must begin with.")
    mask: MaybeOctets = Field(
        default=None, description="Which bits of `expect` count; as long as `expect`."
    )


class SctpForm(CheckForm):
    """An SCTP association is accepted."""

    type: Literal["sctp"]


class DnsForm(CheckForm):
    """A DNS query over UDP is answered without error."""

    type: Literal["dns"]
    name: Annotated[str, text("domain name", 253)] = Field(
        default=".", description="Name to ask for."
    )
    record_type: Annotated[str, text("record type", 20)] = Field(
        default="SOA", description="Record type to ask for."
    )
    answer: MaybeText = Field(default=None, description="Record data that the answer must contain.")


class PingForm(CheckForm):
    """An ICMP or ICMPv6 echo request is answered."""

    type: Literal["ping"]


class SmtpForm(CheckForm):
    """An SMTP greeting (220) and, after EHLO or HELO, a 250."""

    type: Literal["smtp"]
    helo: Annotated[str, text("host name", 253)] = Field(
        default="ipvs-lb", description="Name to introduce ourselves with."
    )


class GrpcForm(CheckForm):
    """grpc.health.v1.Health/Check answers SERVING."""

    type: Literal["grpc"]
    service: Annotated[str, Scalar(values.text, "text", text_json())] = Field(
        default="", description="Service to ask about; empty for the server as a whole."
    )
    tls: Annotated[TlsForm | None, Given()] = Field(default=None, description="Speak TLS, and how.")


class RedisForm(CheckForm):
    """PING is answered with PONG or with a demand for a password."""

    type: Literal["redis"]
    role: Annotated[str | None, word("role", {"master": "master", "slave": "slave"})] = Field(
        default=None, description="Role that INFO must name."
    )


class MysqlForm(CheckForm):
    """A MySQL or MariaDB server greets and does not refuse the connection."""

    type: Literal["mysql"]


class PostgresForm(CheckForm):
    """A PostgreSQL server answers an SSLRequest."""

    type: Literal["postgres"]


class ExecForm(CheckForm):
    """A program exits with 0. It is never run through a shell."""

    type: Literal["exec"]
    command: Annotated[list[Text], Field(min_length=1)] = Field(
        description="Program (absolute path) and its arguments, one list item each."
    )
    user: Annotated[str, text("user name", 32)] = Field(
        default="nobody", description="User to run it as."
    )
    weight: Boolean = Field(default=False, description="Its standard output is an absolute weight.")


class FileForm(CheckForm):
    """A file exists."""

    type: Literal["file"]
    path: Annotated[str, _FILE] = Field(description="The file.")
    weight: Boolean = Field(default=False, description="Its content is an absolute weight.")


class AgentForm(CheckForm):
    """An agent on the server says up, down, drain, maint, ready or a weight in percent (HAProxy's agent-check)."""

    type: Literal["agent"]
    send: Octets = Field(default=b"", description="Bytes to send once connected.")


FORMS: dict[str, type[CheckForm]] = {
    "tcp": TcpForm,
    "http": HttpForm,
    "https": HttpsForm,
    "tls": TlsCheckForm,
    "udp": UdpForm,
    "sctp": SctpForm,
    "dns": DnsForm,
    "ping": PingForm,
    "smtp": SmtpForm,
    "grpc": GrpcForm,
    "redis": RedisForm,
    "mysql": MysqlForm,
    "postgres": PostgresForm,
    "exec": ExecForm,
    "file": FileForm,
    "agent": AgentForm,
}


Check = Annotated[
    TcpForm
    | HttpForm
    | HttpsForm
    | TlsCheckForm
    | UdpForm
    | SctpForm
    | DnsForm
    | PingForm
    | SmtpForm
    | GrpcForm
    | RedisForm
    | MysqlForm
    | PostgresForm
    | ExecForm
    | FileForm
    | AgentForm,
    Field(discriminator="type"),
]
"""Any check, for the schema; checks are read one by one, each by the form of its type."""
