"""`ipvs-lb octavia`: what the compatible API needs beside the daemon."""

from __future__ import annotations

import secrets
import sys

import click

from ipvs_lb.cli.options import examples
from ipvs_lb.errors import UsageError

_ROLES = ("admin", "member", "observer")
_LEAST = 8
"""Characters of a password."""


@click.group()
def octavia() -> None:
    """Help with the API that OpenStack's clients speak to."""


@octavia.command()
@click.argument("name")
@click.argument("role", type=click.Choice(_ROLES))
@click.option("--project", metavar="ID", help="The user's project; default: the configuration's.")
@examples(
    "ipvs-lb octavia password demo member >> /etc/ipvs-lb/octavia.users",
    "ipvs-lb octavia password admin admin < /run/secret >> /etc/ipvs-lb/octavia.users",
)
def password(name: str, role: str, project: str | None) -> None:
    """Print the line of a user for the file that `octavia.users` names.

    The password is asked for on a terminal, else it is the first line of standard input.
    """
    from ipvs_lb.octavia.passwords import SALT_BYTES, hashed
    from ipvs_lb.octavia.users import read_users

    line = f"{name}:{hashed(_password(), secrets.token_bytes(SALT_BYTES))}:{role}"
    if project is not None:
        line += f":{project}"
    read_users(line, "the new line")
    click.echo(line)


def _password() -> str:
    if sys.stdin.isatty():
        found: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        found = sys.stdin.readline().rstrip("\n")
    if len(found) < _LEAST:
        raise UsageError(f"a password of {len(found)} characters, expected at least {_LEAST}")
    return found
