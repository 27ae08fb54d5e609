"""`ipvs-lb simulate`: the daemon's own engine in virtual time, with servers and clients that are described."""

import json
import re
from xml.etree import ElementTree as Xml

import pytest
from click.testing import CliRunner

from ipvs_lb.cli.program import program

CHECK = (
    "{type: http, path: /health, interval: 1s, fast_interval: 1s, timeout: 900ms, rise: 2, fall: 2}"
)
WEB = """\
version: 1
services:
  - name: web
    vip: 10.0.0.16
    port: 80
    scheduler: {scheduler}
    health_check: {check}
    {more}
    servers:
      - {{name: web-1, address: 10.0.0.4{one}}}
      - {{name: web-2, address: 10.0.0.6{two}}}
"""


def config(check=CHECK, scheduler="rr", more="", one="", two=""):
    return WEB.format(check=check, scheduler=scheduler, more=more, one=one, two=two)


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Simulates *steps* against a configuration: what happened, and whether every expectation held."""
    monkeypatch.chdir(tmp_path)

    def play(text, *steps, exit_code=0, **files):
        (tmp_path / "lb.yaml").write_text(text)
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        lines = "\n".join(f"  - {step}" for step in steps)
        (tmp_path / "steps.yaml").write_text(f"version: 1\nsteps:\n{lines}\n")
        words = ["simulate", "-c", "lb.yaml", "--output", "json", "steps.yaml"]
        ran = CliRunner().invoke(program, words)
        assert ran.exit_code == exit_code, ran.output
        (scenario,) = json.loads(ran.stdout)["scenarios"]
        assert scenario["error"] is None
        return scenario

    return play


BOTH = "at 0s: [expect web-1 in within 3s, expect web-2 in within 3s]"


@pytest.mark.parametrize(
    ("fault", "repair", "error"),
    [
        ("stop web-1", "start web-1", "error=refused"),
        ("hang web-1", "start web-1", "error=timeout"),
        ("fail web-1", "start web-1", "error=status detail=status 503"),
        ("unplug web-1", "plug web-1", "error=timeout"),
        ("drop packets to web-1 100%", "drop packets to web-1 0%", "error=timeout"),
        ("delay packets to web-1 1s", "delay packets to web-1 0s", "error=timeout"),
    ],
    ids=["stopped", "hanging", "ill", "unplugged", "lossy", "late"],
)
def test_a_server_that_fails_goes_and_comes_back_as_its_checks_say(play, fault, repair, error):
    played = play(
        config(),
        BOTH,
        f"then: [{fault}, expect web-1 out within 3s]",
        "then: expect traffic to web only from web-2 for 2s",
        f"then: [{repair}, expect web-1 in within 3s]",
        "then: expect traffic to web 50% from web-1 +-2% for 2s",
    )
    (down,) = [one["text"] for one in played["happened"] if one["text"].startswith("server.down")]
    assert error in down


def test_a_check_that_only_connects_does_not_see_that_an_application_hangs_but_clients_do(play):
    tcp = "{type: tcp, interval: 1s, timeout: 500ms, fall: 2}"
    played = play(
        config(check=tcp),
        BOTH,
        "then: [hang web-1, expect web-1 in for 5s]",
        "then: expect traffic to web without errors for 2s",
        exit_code=1,
    )
    (failed,) = [one for one in played["happened"] if one["kind"] == "failed"]
    assert "20 x no answer within 1 s" in failed["detail"]


@pytest.mark.parametrize(
    ("expect", "stays"),
    [("", True), (", expect: answer", False)],
    ids=["whatever comes", "an answer"],
)
def test_a_udp_check_takes_silence_for_well_unless_it_expects_an_answer(play, expect, stays):
    udp = f"{{type: udp, payload: ask{expect}, interval: 1s, timeout: 500ms, fall: 2}}"
    place = "in for 5s" if stays else "out within 5s"
    text = config(check=udp, more="protocol: udp")
    play(text, BOTH, f"then: [hang web-1, expect web-1 {place}]")
    play(text, BOTH, "then: [stop web-1, expect web-1 out within 5s]")


def test_a_datagram_that_is_lost_is_not_sent_again(play):
    """With a TCP check, which is, the server stays."""
    timing = "interval: 10s, timeout: 9s, rise: 1, fall: 1"
    lost = "then: [drop packets to web-1 50%, expect web-1 {} 60s]"
    udp = config(check=f"{{type: udp, payload: a, expect: b, {timing}}}", more="protocol: udp")
    play(udp, BOTH, lost.format("out within"))
    play(config(check=f"{{type: tcp, {timing}}}"), BOTH, lost.format("in for"))


def test_part_of_the_packets_lost_is_part_of_the_requests_unanswered(play):
    ping = "{type: ping, interval: 1s, timeout: 500ms, fall: 9}"
    played = play(
        config(check=ping),
        BOTH,
        "then: drop packets to web-1 50%",
        "then: expect traffic to web errors below 45% for 20s",
        "then: expect traffic to web without errors for 20s",
        exit_code=1,
    )
    assert [one["kind"] for one in played["happened"] if "expect traffic" in one["text"]] == [
        "held",
        "failed",
    ]


def test_weights_and_drains_share_clients_as_the_kernel_would(play):
    play(
        config(scheduler="wrr", one=", weight: 3"),
        BOTH,
        "then: expect traffic to web 75% from web-1 +-3% for 4s",
        "then: [drain web-1, expect web-1 out within 1s]",
        "then: expect traffic to web only from web-2 for 2s",
        "then: [enable web-1, weight web-2 3, expect web-2 weight 3 within 1s]",
        "then: expect traffic to web 50% from web-1 +-3% for 4s",
        "then: [disable web-2, expect web-2 out within 1s]",
    )


@pytest.mark.parametrize("scheduler", ["sh", "dh", "mh"])
def test_a_hashing_scheduler_keeps_a_client_on_its_server(play, scheduler):
    played = play(
        config(scheduler=scheduler),
        BOTH,
        "then: expect traffic to web without errors for 2s",
    )
    (held,) = [one["detail"] for one in played["happened"] if "expect traffic" in one["text"]]
    assert len([part for part in held.split(", ") if part.startswith("web-")]) == 1


def test_persistence_keeps_a_client_on_its_server_until_that_leaves_the_table(play):
    played = play(
        config(more="persistence: 60s"),
        BOTH,
        "then: expect traffic to web without errors for 2s",
        "then: [unplug web-1, expect web-1 out within 4s]",
        "then: expect traffic to web only from web-2 for 2s",
    )
    first = next(one["detail"] for one in played["happened"] if "expect traffic" in one["text"])
    assert re.fullmatch(r"web-[12] \d+, 0 errors", first)


def test_the_daemon_dies_and_the_table_stays_and_what_was_ordered_is_remembered(play):
    played = play(
        config(more="on_down: quiesce"),
        BOTH,
        "then: [weight web-1 7, kill daemon, unplug web-2, expect web-2 in for 5s]",
        "then: [start daemon, expect web-2 weight 0 within 5s, expect web-1 weight 7 for 1s]",
        "then: [restart daemon, expect web-1 weight 7 for 3s]",
        "then: [stop daemon, expect web-1 weight 7 for 1s]",
    )
    told = [one["text"].split()[0] for one in played["happened"] if one["kind"] == "event"]
    assert told.count("daemon.started") == 3
    assert told.count("daemon.stopped") == 2  # one that is killed says nothing


def test_backups_serve_when_nobody_else_does(play):
    played = play(
        config(two=", backup: yes"),
        "at 0s: expect web-1 in within 3s",
        "at 5s: [stop web-1, expect web-1 out within 3s]",
        "then: expect traffic to web only from web-2 for 2s",
    )
    assert "tier.changed" in {one["text"].split()[0] for one in played["happened"]}


def test_another_configuration_is_read(play):
    play(
        config(),
        BOTH,
        "then: [reload other.yaml, expect web-1 weight 5 within 1s]",
        other=config(scheduler="wrr", one=", weight: 5"),
    )


def test_the_same_scenario_has_the_same_course_every_time(play):
    steps = [BOTH, "then: [drop packets to web-1 40%, expect web-2 in for 60s]"]
    assert play(config(), *steps) == play(config(), *steps)


def test_what_cannot_be_simulated_is_refused_before_anything_is_played(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lb.yaml").write_text(config())
    (tmp_path / "steps.yaml").write_text("version: 1\nsteps:\n  - at 0s: run sleep 1\n")
    ran = CliRunner().invoke(program, ["simulate", "-c", "lb.yaml", "steps.yaml"])
    assert ran.exit_code == 2
    assert "steps.yaml:3:12: run sleep 1: a program cannot be run in a simulation" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ("[start daemon]", "the daemon is running already"),
        ("[stop daemon, stop daemon]", "stop: the daemon is not running"),
        ("[stop daemon, drain web-1]", "drain: the daemon is not running"),
    ],
)
def test_what_cannot_be_done_ends_the_scenario(tmp_path, monkeypatch, steps, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lb.yaml").write_text(config())
    (tmp_path / "steps.yaml").write_text(f"version: 1\nsteps:\n  - at 0s: {steps}\n")
    words = ["simulate", "-c", "lb.yaml", "--junit", "results.xml", "steps.yaml"]
    ran = CliRunner().invoke(program, words)
    assert (ran.exit_code, error in ran.stdout) == (1, True), ran.stdout
    (suite,) = Xml.parse("results.xml").getroot()
    assert suite.get("errors") == "1"


def test_what_happens_is_shown_line_by_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lb.yaml").write_text(config())
    (tmp_path / "steps.yaml").write_text(f"version: 1\nsteps:\n  - {BOTH}\n")
    ran = CliRunner().invoke(program, ["simulate", "-c", "lb.yaml", "steps.yaml"])
    assert ran.exit_code == 0
    head, *lines, result = ran.stdout.splitlines()
    assert head == "steps (steps.yaml, lb.yaml)"
    assert "  2 of 2 expectations held" in result
    assert any("event  server.up service=tcp/10.0.0.16:80" in line for line in lines)
    assert any(
        "table  add server 10.0.0.4:80 to tcp/10.0.0.16:80 weight 1" in line for line in lines
    )
