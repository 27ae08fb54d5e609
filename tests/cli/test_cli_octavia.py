"""`ipvs-lb octavia password`: the line of a user, from a password that is never shown."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ipvs_lb.cli.program import program
from ipvs_lb.octavia.users import Role, read_users

SECRET = "correct horse battery"


def test_a_password_on_standard_input_becomes_the_line_of_a_user() -> None:
    arguments = ["octavia", "password", "demo", "member", "--project", "p-1"]
    result = CliRunner().invoke(program, arguments, input=f"{SECRET}\n")
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    user = read_users(result.stdout, "f")["demo"]
    assert (user.role, user.project_id) == (Role.MEMBER, "p-1")
    assert user.password.matches(SECRET)
    assert not user.password.matches(SECRET + "\n")


@pytest.mark.parametrize(
    ("arguments", "given", "what"),
    [
        (["demo", "member"], "short\n", "a password of 5 characters, expected at least 8"),
        (["demo", "root"], SECRET, "is not one of"),
        (["de mo", "member"], SECRET, "expected a name of letters"),
        (["demo", "member", "--project", "a/b"], SECRET, "expected a project id"),
    ],
)
def test_what_cannot_be_a_user_is_refused(arguments: list[str], given: str, what: str) -> None:
    result = CliRunner().invoke(program, ["octavia", "password", *arguments], input=given)
    assert result.exit_code != 0
    assert what in result.output
    assert SECRET not in result.output
