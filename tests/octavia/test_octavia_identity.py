"""Who may ask: passwords, tokens and roles, and how guessing is made slow."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.errors import LBError
from ipvs_lb.model.cloud import identifier_of
from ipvs_lb.octavia import auth, passwords, tokens
from ipvs_lb.octavia.users import LOOK_AGAIN, Role, UsersFile, read_users
from tests.octavia.world import (
    CHEAP,
    ORIGIN,
    OTHER,
    PROJECT,
    PUBLIC,
    SECRET,
    SUBNET,
    WITH_PASSWORDS,
    World,
    user,
)

LB = "/v2.0/lbaas"
NOBODY = (401, "The request you have made requires authentication.")


def closed(**options: Any) -> World:
    return World(settings=WITH_PASSWORDS, **options)


def login(name: str = "demo", password: str = SECRET, scope: object = None) -> dict[str, object]:
    who = {"name": name, "domain": {"id": "default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": who}}
    return {"auth": {"identity": identity, "scope": scope}}


# who is let in


async def test_without_a_word_of_who_asks_nothing_is_shown():
    world = closed()
    answer = await world.ask("GET", f"{LB}/loadbalancers")
    assert answer.fault == NOBODY
    assert answer.headers["www-authenticate"] == 'Basic realm="ipvs-lb", charset="UTF-8"'
    answer = await world.ask("GET", "/v2.0/networks")
    assert answer.problem == (401, "Unauthorized", NOBODY[1])
    for path in ("/", "/v2", "/identity/v3"):
        assert (await world.ask("GET", path)).status == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Bearer " + base64.b64encode(f"demo:{SECRET}".encode()).decode(),
        "Basic " + base64.b64encode(b"demo").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"demo:wrong").decode(),
        "Basic " + base64.b64encode(f"nobody:{SECRET}".encode()).decode(),
        "Basic " + base64.b64encode(f"demo:{'x' * 5000}".encode()).decode(),
    ],
)
async def test_a_wrong_word_is_as_good_as_none(header):
    world = closed()
    answer = await world.ask("GET", f"{LB}/pools", authorization=header)
    assert answer.fault == NOBODY


async def test_a_name_and_its_password_are_let_in():
    world = closed()
    world.come_as("demo")
    await world.load_balancer()
    assert world.told[-1][1]["user"] == "demo"


async def test_a_token_is_let_in_until_it_expires_or_its_user_goes():
    world = closed()
    answer = await world.ask("POST", "/identity/v3/auth/tokens", login())
    assert answer.status == 201
    secret = answer.headers["x-subject-token"]
    assert (await world.ask("GET", f"{LB}/pools", x_auth_token=secret)).status == 200
    assert (await world.ask("GET", f"{LB}/pools", x_auth_token=secret + "x")).fault == NOBODY
    gone = world.users.pop("demo")
    assert (await world.ask("GET", f"{LB}/pools", x_auth_token=secret)).fault == NOBODY
    world.users["demo"] = gone
    world.control.now += WITH_PASSWORDS.token_lifetime - 1
    assert (await world.ask("GET", f"{LB}/pools", x_auth_token=secret)).status == 200
    world.control.now += 1
    assert (await world.ask("GET", f"{LB}/pools", x_auth_token=secret)).fault == NOBODY


async def test_the_configured_token_may_do_everything():
    world = closed(static_token="open sesame")
    path = f"{LB}/quotas/{OTHER}"
    body = {"quota": {"pool": 5}}
    answer = await world.ask("PUT", path, body, x_auth_token="open sesame")
    assert answer.status == 202
    answer = await world.ask("PUT", path, body, x_auth_token="open sesam")
    assert answer.fault == NOBODY


async def test_where_nobody_is_asked_everybody_may_do_everything():
    world = World()
    answer = await world.ask("POST", "/identity/v3/auth/tokens", login("who", "ever"))
    secret = answer.headers["x-subject-token"]
    assert answer.json["token"]["user"]["name"] == "who"
    for headers in ({}, {"x_auth_token": "notused"}, {"x_auth_token": secret}):
        assert (await world.ask("PUT", f"{LB}/quotas/p", {"quota": {}}, **headers)).status == 202
    shown = await world.ask(
        "GET", "/identity/v3/auth/tokens", x_auth_token=secret, x_subject_token=secret
    )
    assert shown.json["token"]["user"]["name"] == "who"


# guessing


async def test_a_right_password_is_checked_by_hard_work_once_a_minute_only(monkeypatch):
    worked = []
    world = closed()
    world.come_as("demo")
    one = world.users["demo"]

    class Counted(passwords.PasswordHash):
        def matches(self, password: str) -> bool:
            worked.append(password)
            return super().matches(password)

    names = ("log2_cost", "block", "parallel", "salt", "digest")
    counted = Counted(**{name: getattr(one.password, name) for name in names})
    world.users["demo"] = replace(one, password=counted)
    for _ in range(5):
        assert (await world.ask("GET", f"{LB}/pools")).status == 200
    assert len(worked) == 1
    world.control.now += auth.REMEMBERED
    assert (await world.ask("GET", f"{LB}/pools")).status == 200
    assert len(worked) == 2
    world.users["demo"] = replace(world.users["demo"], role=Role.OBSERVER)
    assert (await world.ask("GET", f"{LB}/pools")).status == 200
    assert len(worked) == 3


async def test_who_guesses_has_to_wait_longer_and_longer():
    world = closed()
    world.come_as("demo", "wrong")
    for _ in range(auth.PATIENCE):
        assert (await world.ask("GET", f"{LB}/pools")).status == 401
    waits = []
    for _ in range(8):
        answer = await world.ask("GET", f"{LB}/pools")
        assert answer.fault == (429, "Too many wrong passwords: wait a while.")
        waits.append(int(answer.headers["retry-after"]))
        world.control.now += waits[-1]
        assert (await world.ask("GET", f"{LB}/pools")).status == 401
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    world.come_as("demo")
    assert (await world.ask("GET", f"{LB}/pools")).status == 429
    world.come_as("admin")
    assert (await world.ask("GET", f"{LB}/pools")).status == 200
    world.control.now += auth.LONGEST_WAIT
    world.come_as("demo")
    assert (await world.ask("GET", f"{LB}/pools")).status == 200


async def test_what_is_remembered_of_clients_has_an_end():
    world = closed()
    for number in range(auth.MAX_WATCHED + 10):
        world.door._note_wrong((str(number), ""))
    assert len(world.door._wrong) == auth.MAX_WATCHED
    one = world.users["demo"]
    for number in range(auth.MAX_REMEMBERED + 10):
        world.door._remember(str(number).encode(), one)
    assert len(world.door._right) <= auth.MAX_REMEMBERED
    world.door._waiting = auth.MAX_WAITING
    world.come_as("demo")
    assert (await world.ask("GET", f"{LB}/pools")).status == 429


async def test_the_oldest_token_goes_when_there_are_too_many():
    now = [0.0]
    some = tokens.Tokens(lambda: now[0])
    first, _ = some.issue("demo", 60.0)
    last = [some.issue("demo", 60.0)[0] for _ in range(tokens.MAX_TOKENS)][-1]
    assert some.find(first) is None
    assert some.find(last) is not None
    now[0] = 61.0
    some.issue("demo", 60.0)
    assert len(some._known) == 1


# roles


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("admin", (200, 200, 201, 202, 202)),
        ("demo", (200, 403, 201, 202, 403)),
        ("watcher", (200, 403, 403, 403, 403)),
        ("stranger", (403, 200, 403, 403, 403)),
    ],
)
async def test_a_role_says_what_can_be_done(name, statuses):
    world = closed()
    world.come_as("demo")
    site = await world.site()
    world.come_as(name)
    path = f"{LB}/loadbalancers/{site.load_balancer}"
    member = {"member": {"address": "10.0.0.9", "protocol_port": 80}}
    answers = [
        await world.ask("GET", path),
        await world.ask("GET", f"{LB}/pools?project_id={OTHER}"),
        await world.ask("POST", f"{LB}/pools/{site.pool}/members", member),
    ]
    await world.desk.finish()
    answers.append(await world.ask("PUT", f"{path}/failover"))
    await world.desk.finish()
    answers.append(await world.ask("PUT", f"{LB}/quotas/{PROJECT}", {"quota": {"pool": 9}}))
    assert tuple(answer.status for answer in answers) == statuses
    text = "Policy does not allow this request to be performed."
    assert all(answer.fault == (403, text) for answer in answers if answer.status == 403)


async def test_lists_show_the_own_project_only():
    world = closed()
    world.come_as("stranger")
    mine = await world.load_balancer(name="mine")
    body = {"floatingip": {"floating_network_id": PUBLIC.id}}
    own = (await world.ask("POST", "/v2.0/floatingips", body)).json["floatingip"]["id"]
    world.come_as("demo")
    site = await world.site()
    assert len((await world.get(f"{LB}/loadbalancers"))["loadbalancers"]) == 1
    assert len((await world.get("/v2.0/ports"))["ports"]) == 1
    assert (await world.get("/v2.0/floatingips"))["floatingips"] == []
    assert (await world.ask("GET", f"/v2.0/floatingips/{own}")).status == 404
    assert (await world.ask("DELETE", f"/v2.0/floatingips/{own}")).status == 404
    port = (await world.get("/v2.0/ports"))["ports"][0]["id"]
    world.come_as("stranger")
    answer = await world.ask("PUT", f"/v2.0/floatingips/{own}", {"floatingip": {"port_id": port}})
    assert answer.problem == (404, "PortNotFound", f"Port {port} could not be found.")
    assert (await world.ask("GET", f"/v2.0/ports/{port}")).status == 404
    assert (await world.ask("GET", f"{LB}/pools/{site.pool}/members")).status == 403
    world.come_as("admin")
    listed = (await world.get(f"{LB}/loadbalancers"))["loadbalancers"]
    assert {one["id"] for one in listed} == {mine, site.load_balancer}
    port_80 = {"loadbalancer_id": mine, "protocol": "TCP", "protocol_port": 80}
    answer = await world.ask("POST", f"{LB}/listeners", {"listener": port_80})
    assert answer.json["listener"]["project_id"] == OTHER
    await world.desk.finish()


async def test_only_an_admin_makes_something_for_another_project():
    world = closed()
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "project_id": OTHER}}
    world.come_as("demo")
    assert (await world.ask("POST", f"{LB}/loadbalancers", body)).status == 403
    world.come_as("admin")
    answer = await world.ask("POST", f"{LB}/loadbalancers", body)
    assert answer.json["loadbalancer"]["project_id"] == OTHER
    await world.desk.finish()


async def test_quotas_are_shown_and_kept():
    world = closed()
    world.come_as("admin")
    path = f"{LB}/quotas/{PROJECT}"
    assert (await world.get(path))["quota"]["load_balancer"] == -1
    body = {"quota": {"load_balancer": 3, "healthmonitor": "4", "l7policy": 0, "pool": None}}
    answer = await world.ask("PUT", path, body)
    shown = answer.json["quota"]
    assert (shown["loadbalancer"], shown["load_balancer"]) == (3, 3)
    assert (shown["health_monitor"], shown["l7policy"], shown["pool"]) == (4, 0, -1)
    assert shown["tenant_id"] == PROJECT
    assert world.again().desk.quotas == world.desk.quotas
    quotas = (await world.get(f"{LB}/quotas"))["quotas"]
    assert [one["project_id"] for one in quotas] == [PROJECT]
    assert (await world.get(f"{LB}/quotas/defaults"))["quota"]["loadbalancer"] == -1
    assert (await world.get(f"{path}/default"))["quota"]["loadbalancer"] == -1
    answer = await world.ask("PUT", path, {"quota": {"loadbalancer": None}})
    assert answer.json["quota"]["loadbalancer"] == -1
    for bad in ({"foo": 1}, {"pool": -2}, {"pool": "x"}):
        assert (await world.ask("PUT", path, {"quota": bad})).status == 400
    assert (await world.ask("PUT", f"{LB}/quotas/{'x' * 37}", {"quota": {}})).status == 400


# the identity slice


async def test_a_token_says_who_and_where_everything_is():
    world = closed()
    project = {"project": {"name": "whatever", "domain": {"name": "Default"}}}
    answer = await world.ask("POST", "/identity/v3/auth/tokens", login(scope=project))
    token = answer.json["token"]
    assert token["user"]["id"] == identifier_of("user", "demo")
    assert token["project"] == {
        "id": PROJECT,
        "name": "demo",
        "domain": {"id": "default", "name": "Default"},
    }
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert token["expires_at"] > token["issued_at"]
    urls = {one["type"]: {place["url"] for place in one["endpoints"]} for one in token["catalog"]}
    assert urls == {
        "identity": {f"{ORIGIN}/identity/v3"},
        "load-balancer": {ORIGIN},
        "network": {ORIGIN},
    }
    assert SECRET not in answer.content.decode()


async def test_tokens_can_be_shown_exchanged_and_revoked():
    world = closed()
    path = "/identity/v3/auth/tokens"
    first = (await world.ask("POST", path, login("admin"))).headers["x-subject-token"]
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": first}}, "scope": {}}}
    answer = await world.ask("POST", path, again)
    second = answer.headers["x-subject-token"]
    assert answer.json["token"]["methods"] == ["token"]
    shown = await world.ask("GET", path, x_auth_token=first, x_subject_token=second)
    assert shown.json["token"]["user"]["name"] == "admin"
    gone = await world.ask("DELETE", path, x_auth_token=first, x_subject_token=second)
    assert gone.status == 204
    shown = await world.ask("GET", path, x_auth_token=first, x_subject_token=second)
    assert (shown.status, shown.json["error"]["message"]) == (404, "Could not find token.")
    assert (await world.ask("GET", path, x_subject_token=first)).status == 401
    static = closed(static_token="s")
    shown = await static.ask("GET", path, x_auth_token="s", x_subject_token="s")
    assert shown.status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (login(password="wrong"), 401),
        (login(identifier_of("user", "demo")), 201),
        ({"auth": {"identity": {"methods": ["password"]}}}, 400),
        ({"auth": {"identity": {"methods": ["password"], "password": {"user": {}}}}}, 400),
        ({"auth": {"identity": {"methods": ["token"], "token": {}}}}, 400),
        ({"auth": {"identity": {"methods": ["totp"]}}}, 400),
        ({"auth": {"identity": {"methods": "password"}}}, 400),
        ({"auth": []}, 400),
        ([], 400),
        (None, 400),
    ],
)
async def test_a_request_for_a_token_has_a_form(body, status):
    answer = await closed().ask("POST", "/identity/v3/auth/tokens", body)
    assert answer.status == status
    if status >= 400:
        assert answer.json["error"]["code"] == status


async def test_an_identifier_is_a_name_too():
    world = closed()
    who = {"id": identifier_of("user", "demo"), "password": SECRET}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}
    answer = await world.ask("POST", "/identity/v3/auth/tokens", body)
    assert answer.json["token"]["user"]["name"] == "demo"


async def test_versions_of_the_identity_slice_are_told():
    world = closed()
    answer = await world.ask("GET", "/identity")
    assert answer.status == 300
    (version,) = answer.json["versions"]["values"]
    assert (version["id"], version["status"]) == ("v3.14", "stable")
    assert (await world.get("/identity/v3"))["version"] == version
    assert version["links"][0]["href"] == f"{ORIGIN}/identity/v3/"


@pytest.mark.parametrize("base", ["", "/identity", "/identity/v3"])
async def test_projects_are_nobodys_business_so_that_clients_take_a_name_for_an_identifier(base):
    world = closed()
    for path in ("projects", "projects/demo", "projects?name=demo"):
        answer = await world.ask("GET", f"{base}/{path}")
        assert answer.status == 403
        assert answer.json["error"]["title"] == "Forbidden"


# passwords and users


@given(st.text(max_size=20), st.binary(min_size=1, max_size=32))
def test_a_hash_is_read_as_it_is_written(password, salt):
    blank = replace(CHEAP, salt=salt)
    made = replace(blank, digest=passwords._scrypt(password.encode(errors="replace"), blank))
    assert passwords.parse(str(made)) == made
    assert made.matches(password)
    assert not made.matches(password + "x")


def test_a_new_hash_is_as_hard_as_it_is_meant_to_be():
    made = passwords.hashed("a password", b"salt")
    assert str(made).startswith("scrypt$15$8$1$")
    assert made.matches("a password")
    assert not made.matches("another")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("md5$x", "expected a hash"),
        ("scrypt$1$1$1$x", "expected a hash"),
        ("scrypt$a$8$1$AA==$AA==", "damaged"),
        ("scrypt$15$8$1$!$AA==", "damaged"),
        ("scrypt$15$8$1$AA==$AA==", "damaged"),
        ("scrypt$30$8$1$AA==$AA==", "more work"),
        (f"scrypt$24$32$1$AA==${base64.b64encode(bytes(32)).decode()}", "256 MB"),
    ],
)
def test_a_hash_that_cannot_be_is_refused(text, what):
    with pytest.raises(ValueError, match=what):
        passwords.parse(text)


def test_users_are_read_line_by_line_with_every_problem():
    one = str(user("x", Role.ADMIN).password)
    users = read_users(f"# users\n\n demo:{one}:member\nops:{one}:observer:{OTHER}\n", "f")
    assert users["demo"].role is Role.MEMBER
    assert (users["ops"].project_id, users["demo"].project_id) == (OTHER, None)
    wrong = f"demo\na b:{one}:admin\nx:{one}:root\ny:md5:admin\nz:{one}:admin:a/b\nq:{one}:admin\nq:{one}:admin"
    with pytest.raises(LBError) as caught:
        read_users(wrong, "f")
    told = str(caught.value)
    assert [f"f:{number}: " in told for number in range(1, 8)] == [True] * 5 + [False, True]
    assert one not in told


def test_a_file_of_users_that_changes_counts_and_one_that_breaks_does_not(tmp_path: Path):
    path, now, warnings = tmp_path / "users", [0.0], list[str]()
    one = str(user("x", Role.ADMIN).password)

    def write(text: str) -> None:
        path.write_text(text)
        path.chmod(0o600)
        now[0] += LOOK_AGAIN

    write(f"a:{one}:admin\n")
    users = UsersFile(path, lambda: now[0], warnings.append)
    assert set(users.users()) == {"a"}
    path.write_text(f"a:{one}:admin\nb:{one}:member\n")
    assert set(users.users()) == {"a"}, "not before a second has gone"
    now[0] += LOOK_AGAIN
    assert set(users.users()) == {"a", "b"}
    write("nonsense\n")
    assert set(users.users()) == {"a", "b"}
    assert len(warnings) == 1
    now[0] += LOOK_AGAIN
    assert set(users.users()) == {"a", "b"}
    assert len(warnings) == 1, "it is told once"
    path.unlink()
    now[0] += LOOK_AGAIN
    assert set(users.users()) == {"a", "b"}
    write(f"c:{one}:admin\n")
    assert set(users.users()) == {"c"}


@pytest.mark.parametrize("kind", ["none", "directory", "binary", "readable", "large"])
def test_a_file_of_users_that_cannot_be_used_is_refused(tmp_path: Path, kind):
    path = tmp_path / "users"
    if kind == "directory":
        path.mkdir()
    elif kind != "none":
        content = {"binary": b"\xff\xff", "readable": b"", "large": b"#" * (1024 * 1024 + 1)}
        path.write_bytes(content[kind])
        path.chmod(0o644 if kind == "readable" else 0o600)
    with pytest.raises(LBError, match="users: "):
        UsersFile(path, lambda: 0.0, print)
    assert os.path.exists(path) == (kind != "none")  # noqa: PTH110
