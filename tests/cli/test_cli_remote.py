"""The commands from another machine: against the API's real server on TCP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from ipvs_lb.cli.program import program
from ipvs_lb.cli.reach import Remote
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.identity import Port
from tests.cli.conftest import Box
from tests.fake_control import FakeControl
from tests.probes.servers import Authority, free_port
from tests.running_api import Running

TOKEN = "a-token-of-some-length"


@dataclass(frozen=True)
class Elsewhere:
    """A gateway that is reached on TCP alone: by token on one port, by certificate on another, in the clear on a third."""

    running: Running
    folder: Path
    by_token: str
    by_certificate: str
    in_the_clear: str

    def file(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    authority = Authority(folder)
    certificate, key = map(str, authority.issue("127.0.0.1"))
    authority.issue("alice", file="alice")
    (folder / "token").write_text(f"{TOKEN}\n")
    ports = [free_port() for _ in range(3)]
    here = ip_address("127.0.0.1")
    listeners = (
        ApiListener(
            address=here, port=Port(ports[0]), token=TOKEN, certificate=certificate, key=key
        ),
        ApiListener(
            address=here,
            port=Port(ports[1]),
            certificate=certificate,
            key=key,
            client_ca=str(authority.file),
        ),
        ApiListener(address=here, port=Port(ports[2]), token=TOKEN),
    )
    control = FakeControl().everything_up()
    with Running(control, folder / "api.sock").up(*listeners) as running:
        urls = [
            f"{scheme}://127.0.0.1:{port}"
            for scheme, port in zip(("https", "https", "http"), ports, strict=True)
        ]
        yield Elsewhere(running, folder, *urls)


def test_a_token_and_who_signed_are_enough(box: Box, elsewhere: Elsewhere) -> None:
    told = box.run(
        *("status", "--url", elsewhere.by_token),
        *("--token-file", elsewhere.file("token"), "--ca-file", elsewhere.file("ca.pem")),
    )
    assert told.exit_code == 0
    assert "server-1" in told.stdout


def test_the_environment_can_say_it_all(box: Box, elsewhere: Elsewhere) -> None:
    there = {
        "IPVS_LB_URL": f"{elsewhere.by_token}/",
        "IPVS_LB_TOKEN": TOKEN,
        "IPVS_LB_CA_FILE": elsewhere.file("ca.pem"),
    }
    for arguments in (
        ("drain", "web/server-1", "--for", "1h", "--reason", "from afar"),
        ("explain", "web/server-1"),
        ("enable", "web/server-1"),
        ("check", "web/server-1"),
        ("weight", "mail/mx-1", "7"),
        ("enable", "mail/*"),
        ("events",),
        ("reload",),
        ("announce",),
        ("status", "--state", "up"),
        ("health",),
    ):
        assert box.run(*arguments, color=False, **there).exit_code == 0, arguments
    assert elsewhere.running.control.calls == ["reload", "announce"]


def test_a_certificate_names_who_gave_an_order(box: Box, elsewhere: Elsewhere) -> None:
    there = ("--url", elsewhere.by_certificate, "--ca-file", elsewhere.file("ca.pem"))
    shown = ("--cert", elsewhere.file("alice.pem"), "--key", elsewhere.file("alice.key"))
    told = box.run("drain", "web/server-2", *there, *shown)
    assert told.exit_code == 0
    assert "told to drain by alice from 127.0.0.1" in told.stdout
    assert box.run("enable", "web/server-2", *there, *shown).exit_code == 0


def test_through_a_tunnel_it_goes_without_tls(box: Box, elsewhere: Elsewhere) -> None:
    assert box.run("health", "--url", elsewhere.in_the_clear, IPVS_LB_TOKEN=TOKEN).exit_code == 0


def refusal(box: Box, *arguments: str, **variables: str) -> tuple[int, str]:
    told = box.run(*arguments, color=False, **variables)
    assert told.stdout == ""
    assert TOKEN not in told.stderr
    return told.exit_code, told.stderr


def test_what_is_wrong_is_told_with_what_helps(box: Box, elsewhere: Elsewhere) -> None:
    ca = ("--ca-file", elsewhere.file("ca.pem"))
    code, told = refusal(box, "reload", "--url", elsewhere.by_token, *ca)
    assert (code, "hint: give it with --token-file or in IPVS_LB_TOKEN" in told) == (2, True)
    code, told = refusal(box, "reload", "--url", elsewhere.by_token, IPVS_LB_TOKEN=TOKEN)
    assert (code, "certificate is not believed" in told, "--ca-file" in told) == (1, True, True)
    code, told = refusal(box, "reload", "--url", elsewhere.by_certificate, *ca)
    assert code == 1
    code, told = refusal(
        box, "reload", "--url", elsewhere.by_token.replace("https", "http"), IPVS_LB_TOKEN=TOKEN
    )
    assert code == 1
    code, told = refusal(
        box, "reload", "--url", elsewhere.in_the_clear.replace("http", "https"), *ca
    )
    assert (code, "no TLS" in told) == (1, True)


def test_the_kernel_of_this_machine_is_not_shown_for_that_of_another(box: Box) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, told = refusal(box, "status", "--url", url)
    assert (code, f"{url} cannot be reached: Connection refused" in told) == (1, True)
    assert box.run("health", "--url", url).exit_code == 3


def test_a_server_that_is_no_daemon_is_told(box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        other.listen()

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

        thread = threading.Thread(target=answer)
        thread.start()
        code, told = refusal(box, "reload", "--url", url)
        thread.join(10)
    assert (code, "is no ipvs-lb daemon" in told) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--url", "http://10.0.0.1:80"], "expected https, except for a loopback address"),
        (["--url", "http://lb.example"], "expected https, except for a loopback address"),
        (["--url", "lb.example:8443"], "expected https://HOST:PORT"),
        (["--url", "https://"], "expected https://HOST:PORT"),
        (["--url", "https://lb.example/path"], "expected https://HOST:PORT"),
        (["--url", "https://me:secret@lb.example"], "expected https://HOST:PORT"),
        (["--url", "https://lb.example:99999"], "--url: Port out of range 0-65535"),
        (["--url", "https://[::1"], "--url: Invalid IPv6 URL"),
        (["--url", "https://x", "--socket", "/y"], "either --socket or --url, not both"),
        (["--token-file", "/x"], "--token-file goes with --url"),
        (["--ca-file", "/x"], "--ca-file goes with --url"),
        (["--url", "https://x", "--key", "/k"], "--key goes with --cert"),
        (["--url", "https://x", "--token-file", "/none"], "--token-file /none: No such file"),
        (["--url", "https://127.0.0.1:9", "--ca-file", "/none"], "--ca-file /none: "),
        (["--url", "https://127.0.0.1:9", "--cert", "/none"], "--cert /none: "),
        (["--url", "https://127.0.0.1:9", "--cert", "/n", "--key", "/k"], "--cert /n --key /k: "),
    ],
)
def test_options_that_make_no_sense_are_refused(box: Box, arguments: list[str], told: str) -> None:
    code, said = refusal(box, "reload", *arguments)
    assert (code, told in said) == (2, True), said
    assert "secret" not in said


@pytest.mark.parametrize("content", ["", "two words", "schlüssel", "x" * 2000])
def test_a_file_without_a_token_is_told_without_its_content(box: Box, content: str) -> None:
    (box.folder / "token").write_text(content)
    code, told = refusal(box, "reload", "--url", "https://x", "--token-file", "token")
    assert (code, "--token-file token: expected a token" in told) == (2, True)
    assert not content or content not in told


def test_what_is_typed_counts_for_more_than_the_environment(box: Box) -> None:
    there = {"IPVS_LB_URL": "https://lb.example", "IPVS_LB_TOKEN_FILE": "/none"}
    _, told = refusal(box, "reload", "--socket", str(box.socket), **there)
    assert f"no ipvs-lb daemon listens on {box.socket}" in told


def test_names_are_completed_from_elsewhere(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPVS_LB_TOKEN", TOKEN)
    completion = ShellComplete(program, {}, "ipvs-lb", "_COMPLETE")

    def completed(url: str) -> list[str]:
        arguments = ["drain", "--url", url]
        return [item.value for item in completion.get_completions(arguments, "web/")]

    assert "web/server-1" in completed(elsewhere.in_the_clear)
    assert completed("nonsense") == []


def test_a_token_is_not_to_be_seen() -> None:
    assert TOKEN not in repr(Remote(host="::1", port=1, token=TOKEN))
    assert str(Remote(host="::1", port=1)) == "https://[::1]:1"


def test_every_command_that_asks_the_daemon_can_ask_elsewhere() -> None:
    asking = {
        name
        for name, command in program.commands.items()
        if any(option.name == "url" for option in command.params)
    }
    with_socket = {
        name
        for name, command in program.commands.items()
        if any(
            isinstance(one, click.Option) and one.name == "socket_path" for one in command.params
        )
    }
    page = {"web"}  # elsewhere the page is at the URL itself
    here = {"run", "doctor"}  # these are about the machine they run on
    assert asking == with_socket - here - page
