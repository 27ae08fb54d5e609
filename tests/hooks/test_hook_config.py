"""The block `hooks` of a configuration: what it means, what is refused, and that nothing secret is ever shown."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from ipvs_lb.config import loads
from ipvs_lb.config.hook_forms import MAX_HEADERS, MAX_HOOKS
from ipvs_lb.errors import ConfigError
from ipvs_lb.events import Level
from ipvs_lb.model.event import HOOKABLE
from ipvs_lb.model.hooks import Exec, Hook, Webhook

SERVICES = """
services:
  - {name: web-1, vip: 10.0.0.1, port: 80, servers: []}
  - {name: web-2, vip: 10.0.0.2, port: 80, servers: []}
  - {name: "mail[1]", vip: 10.0.0.3, port: 25, servers: []}
"""


def hooks(text: str, **environ: str) -> tuple[Hook, ...]:
    return loads(f"version: 1\nhooks:\n{text}{SERVICES}", environ=environ).hooks


def refused(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        hooks(text, **environ)
    return [problem.removeprefix("<string>:") for problem in caught.value.problems]


def test_the_address_of_a_receiver_is_enough():
    (only,) = hooks('- {name: a, webhook: "https://x.example/y", events: "*"}')
    assert only == Hook(
        name="a", action=Webhook(url="https://x.example/y"), events=frozenset(HOOKABLE)
    )


def test_everything_of_a_webhook_is_read():
    (only,) = hooks(
        """
  - name: a
    webhook:
      url: http://[::1]:8080/y?z=1
      token: ${TOKEN}
      headers: {X-Team: lb, X-Number: 7}
      ca_file: /etc/ca.pem
      timeout: 500ms
      attempts: 2
    events: [server.up, "vip.*"]
    services: [web-1]
    level: warning
    window: 2m
""",
        TOKEN="s3cret",
    )
    assert only == Hook(
        name="a",
        action=Webhook(
            url="http://[::1]:8080/y?z=1",
            headers=(("X-Team", "lb"), ("X-Number", "7"), ("Authorization", "Bearer s3cret")),
            ca_file="/etc/ca.pem",
            timeout=0.5,
            attempts=2,
        ),
        events=frozenset({"server.up", "vip.restored", "vip.withdrawn"}),
        services=frozenset({"web-1"}),
        level=Level.WARNING,
        window=120.0,
    )


def test_everything_of_a_program_is_read():
    (only,) = hooks(
        "- {name: a, exec: {command: [/bin/tell, $HOME], user: lb, timeout: 1m}, events: server.up}"
    )
    assert only.action == Exec(command=("/bin/tell", "$HOME"), user="lb", timeout=60.0)
    (only,) = hooks("- {name: a, exec: {command: /bin/tell}, events: server.up}")
    assert only.action == Exec(command=("/bin/tell",))


@pytest.mark.parametrize(
    ("services", "named"),
    [
        ("web-*", {"web-1", "web-2"}),
        ("[web-2, web-2]", {"web-2"}),
        ('"mail[1]"', {"mail[1]"}),
        ('"*[1]"', {"mail[1]"}),
        ('"*"', {"web-1", "web-2", "mail[1]"}),
    ],
)
def test_services_are_named_or_matched(services, named):
    (only,) = hooks(f'- {{name: a, webhook: "http://x", events: "*", services: {services}}}')
    assert only.services == named


def test_without_services_any_will_do():
    text = 'version: 1\nhooks: [{name: a, webhook: "http://x", events: "*", services: "*"}]'
    assert loads(f"{text}\nservices: []").hooks[0].services == frozenset()


def test_two_stars_are_as_good_as_one_and_cost_no_more():
    (only,) = hooks(f'- {{name: a, webhook: "http://x", events: "{"*" * 100}down"}}')
    assert only.events == {"server.down"}
    assert refused(f'- {{name: a, webhook: "http://x", events: "{"*e" * 80}q"}}')


GOOD = 'events: "*"'
KNOWN = ", ".join(HOOKABLE[:-1]) + f" or {HOOKABLE[-1]}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"- {{name: a, {GOOD}}}",
            "3:3: hooks.0: a hook needs a webhook or an exec",
        ),
        (
            f'- {{name: a, webhook: "http://x", exec: {{command: /x}}, {GOOD}}}',
            "3:34: hooks.0.exec: either webhook or exec, not both",
        ),
        (
            '- {name: a, webhook: "http://x"}',
            "3:3: hooks.0.events: required key is missing",
        ),
        (
            '- {name: a, webhook: "http://x", events: []}',
            "3:42: hooks.0.events: expected at least one item, found none",
        ),
        (
            '- {name: a, webhook: "http://x", events: [server.up, server.dwn]}',
            f'3:54: hooks.0.events.1: unknown event "server.dwn", expected {KNOWN}',
        ),
        (
            '- {name: a, webhook: "http://x", events: "?erver.up"}',
            f'3:42: hooks.0.events: unknown event "?erver.up", expected {KNOWN}',
        ),
        (
            '- {name: a, webhook: "http://x", events: hook.failed}',
            "3:42: hooks.0.events: hooks are not told of hook.failed: one that fails would feed itself",
        ),
        (
            f'- {{name: a, webhook: "http://x", {GOOD}, services: web}}',
            '3:57: hooks.0.services: unknown service "web", did you mean "web-2"?',
        ),
        (
            f'- {{name: a, webhook: "http://x", {GOOD}, level: loud}}',
            '3:54: hooks.0.level: unknown level "loud", expected info, warning or error',
        ),
        (
            f"- {{name: a, exec: {{command: [tell]}}, {GOOD}}}",
            "3:30: hooks.0.exec.command.0: expected the absolute path of a program",
        ),
        (
            f"- {{name: a, exec: {{command: [/tell], user: root}}, {GOOD}}}",
            "3:44: hooks.0.exec.user: a hook's program does not run as root",
        ),
        (
            f'- {{name: a, webhook: {{url: "http://x", headrs: {{}}}}, {GOOD}}}',
            '3:40: hooks.0.webhook.headrs: unknown key, did you mean "headers"?',
        ),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(text, problem):
    assert refused(text) == [problem]


def test_two_hooks_of_one_name_are_refused():
    one = f'- {{name: a, webhook: "http://x", {GOOD}}}\n'
    assert refused(one + one) == ['4:10: hooks.1.name: another hook is called "a" at <string>:3:3']


def test_there_is_a_limit_to_hooks():
    many = "".join(f'- {{name: h{n}, webhook: "http://x", {GOOD}}}\n' for n in range(MAX_HOOKS + 1))
    assert refused(many) == ["3:1: hooks: at most 32 hooks, found 33"]


SECRET = "s3cret"


@pytest.mark.parametrize(
    "webhook",
    [
        pytest.param(f'"ftp://x/{SECRET}"', id="scheme"),
        pytest.param(f'"http:///{SECRET}"', id="no-host"),
        pytest.param(f'"http://x:0/{SECRET}"', id="port-0"),
        pytest.param(f'"http://x:99999/{SECRET}"', id="port"),
        pytest.param(f'"http://[x/{SECRET}"', id="brackets"),
        pytest.param(f'"http://user:{SECRET}@x/"', id="password"),
        pytest.param(f'"http://{SECRET}@x/"', id="user"),
        pytest.param(f'"http://x/a {SECRET}"', id="blank"),
        pytest.param(f'"http://x/\\t{SECRET}"', id="control"),
        pytest.param(f'"http://x/{SECRET}ü"', id="not-ascii"),
        pytest.param(f"{{url: [{SECRET}]}}", id="url-list"),
        pytest.param(f'{{url: "http://x", token: "{SECRET}\\r\\nX: y"}}', id="token-lines"),
        pytest.param(f'{{url: "http://x", token: {{a: {SECRET}}}}}', id="token-mapping"),
        pytest.param('{url: "http://x", token: ""}', id="token-empty"),
        pytest.param(f'{{url: "http://x", token: "{SECRET * 1000}"}}', id="token-long"),
        pytest.param(f'{{url: "http://x", headers: "{SECRET}"}}', id="headers-text"),
        pytest.param(f'{{url: "http://x", headers: [{SECRET}]}}', id="headers-list"),
        pytest.param('{url: "http://x", headers: }', id="headers-none"),
        pytest.param(f'{{url: "http://x", headers: {{A: "{SECRET}\\n"}}}}', id="header-lines"),
        pytest.param(f'{{url: "http://x", headers: {{A: " {SECRET}"}}}}', id="header-blank"),
        pytest.param(f'{{url: "http://x", headers: {{"A B": {SECRET}}}}}', id="header-name"),
        pytest.param(f'{{url: "http://x", headers: {{A: 1, a: {SECRET}}}}}', id="header-twice"),
        pytest.param(
            f'{{url: "http://x", headers: {{host: {SECRET}, Connection: {SECRET}}}}}',
            id="header-ours",
        ),
        pytest.param(
            f'{{url: "http://x", token: {SECRET}, headers: {{AUTHORIZATION: {SECRET}}}}}',
            id="token-and-header",
        ),
        pytest.param(
            f'{{url: "http://x", headers: {json.dumps({f"H{n}": SECRET for n in range(MAX_HEADERS + 1)})}}}',
            id="many-headers",
        ),
    ],
)
def test_what_is_refused_of_a_webhook_is_not_shown(webhook):
    problems = refused(f"- {{name: a, webhook: {webhook}, {GOOD}}}")
    assert problems
    assert all("hooks.0.webhook" in problem and SECRET not in problem for problem in problems)


def test_secrets_do_not_show_when_a_configuration_is_printed():
    text = (
        '- {name: a, webhook: {url: "http://x/s3cret", token: s3cret, headers: {X: s3cret}}, '
        f"{GOOD}}}"
    )
    config = loads(f"version: 1\nhooks:\n{text}{SERVICES}")
    assert "s3cret" not in repr(config)
    assert "s3cret" not in str(config.hooks[0].action)
    assert "s3cret" in str(asdict(config.hooks[0]))  # it is there, and only not shown


def test_hooks_belong_to_the_first_file(tmp_path):
    more = tmp_path / "more.yaml"
    more.write_text(f'version: 1\nhooks: [{{name: a, webhook: "http://x", {GOOD}}}]\n')
    with pytest.raises(ConfigError) as caught:
        loads("version: 1\ninclude: more.yaml", base=tmp_path)
    assert "hooks: unknown key" in str(caught.value)
