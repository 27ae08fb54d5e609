"""The block `api`: what it means, what is refused and where, and that no token is ever shown."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ipvs_lb.config import loads
from ipvs_lb.config.api import MAX_LISTENERS
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.api import MAX_TOKEN, ApiListener, is_token
from ipvs_lb.model.identity import Port

SECRET = "hush-hush"


def load(*entries: str, **environ: str) -> tuple[ApiListener, ...]:
    lines = [f"    - {{{entry}}}" for entry in entries]
    text = "\n".join(["version: 1", "api:", "  listen:", *lines, ""])
    return loads(text, name="lb.yaml", environ=environ).api.listen


def test_nothing_is_listened_on_unless_it_is_said() -> None:
    assert loads("version: 1").api.listen == ()
    assert loads("version: 1\napi: {}").api.listen == ()


def test_listeners_mean_what_they_say() -> None:
    first, second = load(
        "address: 127.0.0.1, port: 8080, token: '${TOKEN}'",
        "address: '::', port: 8443, token_file: /t, certificate: /c, key: /k, client_ca: /a",
        TOKEN=SECRET,
    )
    assert first == ApiListener(address=ip_address("127.0.0.1"), port=Port(8080), token=SECRET)
    (viewers,) = load("address: 127.0.0.1, port: 8080, read_only_token: x")
    assert viewers.takes_tokens
    assert (first.origin, str(first)) == ("lb.yaml:4:7: api.listen.0", "127.0.0.1:8080")
    assert (str(second), second.files) == ("[::]:8443", ("/t", "/c", "/k", "/a"))
    assert second.origin == "lb.yaml:5:7: api.listen.1"


def test_a_token_that_looks_like_a_number_is_text() -> None:
    (one,) = load("address: 127.0.0.1, port: 8080, token: 12345678")
    assert one.token == "12345678"


def test_a_line_that_moved_is_no_change() -> None:
    entry = "address: 127.0.0.1, port: 8080, token: x"
    assert load(entry) == load("address: '::1', port: 1, token: x", entry)[1:]


HERE = "address: 127.0.0.1, port: 8080"
TOKEN_WANTED = "expected a token of 1 to 1000 visible ASCII characters without blanks"


@pytest.mark.parametrize(
    ("entry", "problems"),
    [
        (
            HERE,
            [
                "4:7: api.listen.0.token: it must know who asks: token, token_file or client_ca is missing"
            ],
        ),
        (
            "address: 10.0.0.1, port: 8080, token: x",
            [
                "4:7: api.listen.0.certificate: required key is missing: without TLS a token goes to a loopback "
                "address only"
            ],
        ),
        (
            "address: 0.0.0.0, port: 8080, token: x",
            [
                "4:7: api.listen.0.certificate: required key is missing: without TLS a token goes to a loopback "
                "address only"
            ],
        ),
        (
            f"{HERE}, token: x, token_file: /t",
            ["4:50: api.listen.0.token_file: either token or token_file, not both"],
        ),
        (
            f"{HERE}, read_only_token: x, read_only_token_file: /t",
            [
                "4:60: api.listen.0.read_only_token_file: either read_only_token or read_only_token_file, not both"
            ],
        ),
        (
            f"{HERE}, token: hush, read_only_token: hush",
            [
                "4:53: api.listen.0.read_only_token: the read-only token is the one that may do everything, "
                "expected another"
            ],
        ),
        (
            f"{HERE}, token: x, key: /k",
            ["4:50: api.listen.0.key: a key goes with a certificate, which is missing"],
        ),
        (
            f"{HERE}, client_ca: /a",
            [
                "4:40: api.listen.0.client_ca: client certificates go with TLS: certificate is missing"
            ],
        ),
        (f"{HERE}, token: ''", [f"4:47: api.listen.0.token: {TOKEN_WANTED}"]),
        (f"{HERE}, token: 'hush hush'", [f"4:47: api.listen.0.token: {TOKEN_WANTED}"]),
        (f"{HERE}, token: [hush]", [f"4:47: api.listen.0.token: {TOKEN_WANTED}"]),
        (f"{HERE}, token: hüsh", [f"4:47: api.listen.0.token: {TOKEN_WANTED}"]),
        (f"{HERE}, token: null", [f"4:47: api.listen.0.token: {TOKEN_WANTED}"]),
        (
            f"{HERE}, token_file: token",
            ['4:52: api.listen.0.token_file: expected an absolute path, found "token"'],
        ),
        (
            "port: 8080, token: x",
            ["4:7: api.listen.0.address: required key is missing"],
        ),
        (
            "address: 127.0.0.1, port: 0, token: x",
            ["4:34: api.listen.0.port: expected a port from 1 to 65535, found 0"],
        ),
        (
            "address: 224.0.0.1, port: 1, token: x",
            ["4:17: api.listen.0.address: 224.0.0.1 is not the address of a host"],
        ),
        (
            f"{HERE}, tokne: hush",
            ['4:40: api.listen.0.tokne: unknown key, did you mean "token"?'],
        ),
        (
            f"{HERE}, token: '${{NONE}}'",
            [
                "4:47: api.listen.0.token: environment variable NONE is not set, set it or write "
                '"${NONE:-default}"'
            ],
        ),
    ],
)
def test_what_does_not_go_together_is_told_with_its_place(entry: str, problems: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        load(entry)
    assert [one.removeprefix("lb.yaml:") for one in refused.value.problems] == problems
    assert "hush" not in str(refused.value).replace("hüsh", "hush")


@pytest.mark.parametrize(
    ("one", "other", "again"),
    [
        ("127.0.0.1, port: 80", "127.0.0.1, port: 80", True),
        ("127.0.0.1, port: 80", "127.0.0.1, port: 81", False),
        ("127.0.0.1, port: 80", "127.0.0.2, port: 80", False),
        ("127.0.0.1, port: 80", "0.0.0.0, port: 80", True),
        ("0.0.0.0, port: 80", "127.0.0.1, port: 80", True),
        ("0.0.0.0, port: 80", "'::', port: 80", False),
        ("'::', port: 80", "'::1', port: 80", True),
    ],
)
def test_a_port_is_listened_on_once(one: str, other: str, again: bool) -> None:
    entries = [f"address: {where}, token: x, certificate: /c" for where in (one, other)]
    if not again:
        assert len(load(*entries)) == 2
        return
    with pytest.raises(ConfigError, match=r"lb.yaml:5:7: api.listen.1: .* at lb.yaml:4:7"):
        load(*entries)


def test_there_are_only_so_many() -> None:
    entries = [f"address: '::1', port: {8000 + n}, token: x" for n in range(MAX_LISTENERS + 1)]
    assert len(load(*entries[1:])) == MAX_LISTENERS
    with pytest.raises(ConfigError, match=r"lb\.yaml:4:5: api\.listen: 17 listeners"):
        load(*entries)


def test_included_files_have_no_say(tmp_path) -> None:
    (tmp_path / "more.yaml").write_text(f"api: {{listen: [{{{HERE}, token: {SECRET}}}]}}\n")
    with pytest.raises(ConfigError, match=r"more.yaml:1:1: api: unknown key") as refused:
        loads("version: 1\ninclude: more.yaml\n", base=tmp_path)
    assert SECRET not in str(refused.value)


def test_a_token_is_not_to_be_seen_in_what_is_loaded() -> None:
    config = loads(f"version: 1\napi: {{listen: [{{{HERE}, token: {SECRET}}}]}}\n")
    assert config.api.listen[0].token == SECRET
    assert SECRET not in repr(config)
    assert SECRET not in str(config.api.listen)


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("a", True),
        ("", False),
        ("a b", False),
        ("\x7f", False),
        ("é", False),
        ("a" * MAX_TOKEN, True),
        ("a" * (MAX_TOKEN + 1), False),
    ],
)
def test_a_token_is_visible_ascii(text: str, fine: bool) -> None:
    assert is_token(text) is fine
