"""What a scenario's file means, and how what is wrong with it is told."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.errors import ConfigError, UsageError
from ipvs_lb.lab.backends import Condition
from ipvs_lb.scenario import steps as s
from ipvs_lb.scenario.reading import Script, playable_text, read_scenario
from ipvs_lb.scenario.sentences import FORMS

CONFIG = """\
version: 1
services:
  - name: web
    vip: 10.0.0.16
    ports: [80, 443]
    servers:
      - {name: web-1, address: 10.0.0.4}
      - {name: both, address: 10.0.0.6}
    health_check: {type: http, path: /health, interval: 60s, timeout: 20s}
  - name: mail
    vip: 10.0.0.17
    port: 25
    servers:
      - {name: mail-1, address: 10.0.0.8}
      - {name: both, address: 10.0.0.9}
    health_check: {type: smtp}
  - name: marked
    fwmark: 5
    servers: [{name: web-1, address: 10.0.0.4}]
"""
WEB_1 = s.Who(ip_address("10.0.0.4"), frozenset({"web", "marked"}))
MAIL_1 = s.Who(ip_address("10.0.0.8"), frozenset({"mail"}))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lb.yaml").write_text(CONFIG)
    return tmp_path


def written(*lines, head="version: 1\n"):
    Path("s.yaml").write_text(head + "steps:\n" + "".join(f"  - {line}\n" for line in lines))
    return read_scenario(Path("s.yaml"), Path("lb.yaml"))


def refused(*lines, head="version: 1\n"):
    with pytest.raises(ConfigError) as error:
        written(*lines, head=head)
    return list(error.value.problems)


@pytest.mark.parametrize(
    ("sentence", "doing"),
    [
        ("stop web-1", s.Become(WEB_1, Condition.STOPPED)),
        ("hang 10.0.0.8", s.Become(MAIL_1, Condition.HANGING)),
        ("fail web/web-1", s.Become(s.Who(WEB_1.address, frozenset({"web"})), Condition.ILL)),
        ("start  mail-1", s.Become(MAIL_1, Condition.WELL)),
        ("unplug mail-1", s.Plug(MAIL_1, is_in=False)),
        ("plug mail-1", s.Plug(MAIL_1, is_in=True)),
        ("drop packets to mail-1 12.5%", s.Lose(MAIL_1, 0.125)),
        ("delay packets to mail-1 200ms", s.Delay(MAIL_1, 0.2)),
        ("restart daemon", s.Daemon(s.Life.RESTART)),
        ("kill daemon", s.Daemon(s.Life.KILL)),
        ("stop daemon", s.Daemon(s.Life.STOP)),
        ("start daemon", s.Daemon(s.Life.START)),
        ("reload lb.yaml", s.Reload(Path("lb.yaml"))),
        ("drain mail-1", s.Order(("drain",), MAIL_1)),
        ("weight mail-1 7", s.Order(("weight", "7"), MAIL_1)),
        ("run ipvsadm -C 'a b'", s.Run(("ipvsadm", "-C", "a b"))),
        ("expect mail-1 in", s.Expect(s.Place(MAIL_1, is_in=True))),
        ("expect mail-1 out within 3s", s.Expect(s.Place(MAIL_1, is_in=False), within=3)),
        ("expect mail-1 in for 3s", s.Expect(s.Place(MAIL_1, is_in=True), lasting=3)),
        ("expect mail-1 weight 3", s.Expect(s.Place(MAIL_1, is_in=True, weight=3))),
        ("expect traffic to mail without errors", s.Watch(s.Errors("mail"), 2)),
        ("expect traffic to mail errors below 5% for 9s", s.Watch(s.Errors("mail", 0.05), 9)),
        (
            "expect traffic to mail 50% from mail-1 +-5%",
            s.Watch(s.Share("mail", MAIL_1, 0.5, 0.05), 2),
        ),
        ("expect traffic to mail latency below 20ms", s.Watch(s.Latency("mail", 0.02), 2)),
        ("expect traffic to mail only from mail-1", s.Watch(s.Only("mail", (MAIL_1,)), 2)),
        (
            "expect traffic to web only from web-1, mail-1 for 1m",
            s.Watch(s.Only("web", (WEB_1, MAIL_1)), 60),
        ),
    ],
)
def test_a_sentence_means(folder, sentence, doing):
    (step,) = written(f"at 5s: {sentence}").steps
    assert (step.at, step.waits, step.doing) == (5.0, False, doing)
    assert step.origin == "s.yaml:3:12"


def test_every_kind_of_sentence_is_read_by_its_own_form():
    examples = {"TIME": "1s", "WITHIN": "2s", "LIMIT": "3s", "PERCENT": "4", "POINTS": "5"}
    for form in FORMS:
        text = form.shown.replace("[", "").replace("]", "")
        for name, example in examples.items():
            text = text.replace(name, example)
        assert next(one for one in FORMS if one.match(text) is not None).read is form.read, text


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("stap web-1", 'is not understood, did you mean "stop"?'),
        ("expect web-1 gone", "is not understood, expected expect SERVER in within WITHIN | "),
        ("drop packets to web-1", "expected drop packets to SERVER PERCENT%"),
        ("drop packets to web-1 200%", 'expected a share such as 0.5 or "50%", found "200%"'),
        ("stop web-2", 'unknown server "web-2", did you mean "web-1"?'),
        ("stop both", '"both" is more than one server, write mail/both or web/both'),
        ("fail mail-1", "none of its checks is over HTTP"),
        ("expect web-1 out within 3", 'a duration needs a unit, write "3s"'),
        ("weight web-1 70000", "expected a whole number from 0 to 65535"),
        ("expect traffic to wep without errors", 'unknown service "wep", did you mean "web"?'),
        ("expect traffic to marked without errors", "told by a firewall mark"),
        ("reload new.yaml", 'this configuration is refused: new.yaml:1:1: file: cannot read "new'),
        ("run 'a", "No closing quotation"),
        ("7", "expected a sentence, found 7"),
    ],
)
def test_a_wrong_sentence_is_told_with_its_place(folder, sentence, problem):
    (told,) = refused(f"at 5s: {sentence}")
    assert told.startswith("s.yaml:3:12: steps.0.")
    assert problem in told


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("in 5s: stop web-1", 's.yaml:3:5: steps.0."in 5s": expected `then`, or `at` with a time'),
        ("at five: stop web-1", "expected a duration such as 60s"),
        ("stop web-1", "s.yaml:3:5: steps.0: expected `at TIME: SENTENCE` or `then: SENTENCE`"),
        ("{at 1s: stop web-1, at 2s: start web-1}", "expected `at TIME: SENTENCE`"),
    ],
)
def test_a_wrong_step_is_told_with_its_place(folder, line, problem):
    (told,) = refused(line)
    assert problem in told


def test_all_problems_are_told_at_once_in_their_order(folder):
    told = refused("at 5s: stop web-9", "at 4s: stop web-1", "then: [stop web-1, hang web-9]")
    assert [line.partition(": ")[0] for line in told] == [
        "s.yaml:3:12",
        "s.yaml:4:5",
        "s.yaml:5:24",
    ]
    assert "steps stand in the order of their times, and 5 s came before" in told[1]


def test_of_sentences_that_come_then_only_the_first_waits(folder):
    first, second = written("then: [stop web-1, expect web-1 out]").steps
    assert (first.waits, second.waits) == (True, False)
    assert (first.when, second.when) == ("then", "then")


def test_a_server_of_a_later_configuration_can_be_named_before(folder):
    (folder / "new.yaml").write_text(CONFIG.replace("name: mail-1", "name: mail-9"))
    scenario = written("at 0s: expect mail-9 out", "at 1s: reload new.yaml")
    assert [str(path) for path in scenario.configs] == ["lb.yaml", "new.yaml"]


def test_checks_have_the_scenario_s_times_instead_of_their_own(folder):
    head = "version: 1\nchecks: {interval: 1s, fast_interval: 500ms, timeout: 400ms, fall: 1}\n"
    scenario = written("at 0s: stop web-1", head=head)
    checks = {
        (check.interval, check.fast_interval, check.timeout, check.rise, check.fall)
        for service in scenario.configs[Path("lb.yaml")].services
        for server in service.servers
        for check in server.checks
    }
    assert checks == {(1.0, 0.5, 0.4, 2, 1)}


def test_times_that_do_not_fit_the_checks_are_the_scenario_s_problem(folder):
    (told,) = refused("at 0s: stop web-1", head="version: 1\nchecks: {interval: 1s}\n")
    assert told.startswith("s.yaml:2:9: checks: together with the configuration's checks: timeout")


def test_a_lab_calls_nobody_and_dollars_and_included_files_are_kept(folder):
    Path("more.yaml").write_text(
        "version: 1\npools: {p: {servers: [{address: 10.0.0.4}]}}\n"
        "services: [{name: more, vip: 10.0.0.20, port: 80, pool: p,"
        ' health_check: {type: http, path: "/$$x"}}]\n'
    )
    Path("all.yaml").write_text(
        CONFIG
        + "include: more.yaml\ndaemon: {watch: yes}\n"
        + "hooks: [{name: h, webhook: {url: 'http://10.0.0.1/'}, events: ['*']}]\n"
        + "api: {listen: [{address: 127.0.0.1, port: 1, token: 0123456789abcdef0123456789abcdef}]}\n"
    )
    Path("lb.yaml").write_text(playable_text(Path("all.yaml"), {}))
    config = written("at 0s: stop web-1").configs[Path("lb.yaml")]
    assert [service.name for service in config.services] == ["web", "mail", "marked", "more"]
    assert config.services[3].servers[0].checks[0].method.path == "/$x"
    assert (config.hooks, config.listeners, config.daemon.watch) == ((), (), False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "s.yaml:1:1: version: required key is missing"),
        ("version: 1\nsteps: []\n", "expected at least one item"),
        ("version: 1\nstep: []\n", 'unknown key, did you mean "steps"?'),
        ("version: 1\nchecks: {intervall: 1s}\nsteps: [x]\n", 'did you mean "interval"?'),
        ("version: 1\ntraffic: {rate: 0}\nsteps: [x]\n", "whole number from 1 to 1000"),
    ],
)
def test_a_wrong_file_is_told(folder, text, problem):
    Path("s.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read_scenario(Path("s.yaml"), Path("lb.yaml"))
    assert problem in str(error.value)


def test_a_scenario_that_cannot_be_read_and_one_that_is_no_text_are_told(folder):
    with pytest.raises(ConfigError, match=r"s.yaml:1:1: file: cannot read"):
        read_scenario(Path("s.yaml"), Path("lb.yaml"))
    Path("s.yaml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_scenario(Path("s.yaml"), Path("lb.yaml"))


def test_the_scenarios_that_come_with_the_examples_are_right():
    root = Path(__file__).parents[2] / "config"
    found = [read_scenario(path, root / "example.yaml") for path in root.glob("scenarios/*.yaml")]
    assert [scenario.name for scenario in found] == ["walkthrough"]


def test_the_how_to_has_every_kind_of_sentence():
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "lab.md").read_text("utf-8")
    assert [form for form in FORMS if f"| `{form.shown}` | {form.meaning} |\n" not in page] == []


def test_sentences_that_come_one_by_one_mean_what_they_mean_in_a_file(folder):
    script = Script(Path("lb.yaml"), timing={"interval": "1s", "timeout": "900ms"})
    assert script.read(" stop   mail-1", Path()).doing == s.Become(MAIL_1, Condition.STOPPED)
    assert script.scenario.timing == {"interval": "1s", "timeout": "900ms"}
    (check,) = script.scenario.configs[Path("lb.yaml")].services[0].servers[0].checks
    assert check.interval == 1


def test_a_sentence_that_means_nothing_is_told_without_a_file(folder):
    with pytest.raises(UsageError, match='unknown server "mail-2", did you mean "mail-1"'):
        Script(Path("lb.yaml")).read("stop mail-2", Path())


def test_a_configuration_with_servers_that_the_lab_has_not_is_not_read_by_it(folder):
    (folder / "other").mkdir()
    more = CONFIG.replace("{name: mail-1, address: 10.0.0.8}", "{name: new, address: 10.0.0.99}")
    (folder / "other" / "more.yaml").write_text(more)
    script = Script(Path("lb.yaml"))
    with pytest.raises(UsageError, match=r"more\.yaml has a server that this lab .* without, new"):
        script.read("reload more.yaml", folder / "other")
    with pytest.raises(UsageError, match="unknown server"):
        script.read("stop new", folder)
    wider = Script(Path("lb.yaml"), [folder / "other" / "more.yaml"])
    assert isinstance(wider.read("stop new", folder).doing, s.Become)
    assert isinstance(wider.read("reload more.yaml", folder / "other").doing, s.Reload)


@pytest.mark.parametrize(
    ("timing", "problem"),
    [
        ({"intervall": "1s"}, 'unknown key, did you mean "interval"'),
        ({"interval": "soon"}, "interval"),
        ({"interval": "1s", "timeout": "30s"}, "timeout"),
    ],
)
def test_timing_given_by_hand_is_checked(folder, timing, problem):
    with pytest.raises(ConfigError, match=problem):
        Script(Path("lb.yaml"), timing=timing)
