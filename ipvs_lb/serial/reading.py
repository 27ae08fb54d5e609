"""Checked access to decoded JSON: a value that is not what it should be raises MalformedError with its path."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias, TypeVar

from ipvs_lb.model.identity import IPAddress

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
JSONObject: TypeAlias = Mapping[str, JSON]

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)


class MalformedError(ValueError):
    """A value does not fit its schema; the message starts with where it is: `services.0.servers.3.weight: ...`."""

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(f"{'.'.join(path)}: {message}" if path else message)
        self.message = message
        self.path = path

    def under(self, place: str | int) -> MalformedError:
        """The same problem seen from one level further out."""
        return MalformedError(self.message, (str(place), *self.path))


def members(value: JSON) -> JSONObject:
    """*value* as an object."""
    if isinstance(value, Mapping):
        return value
    raise MalformedError(f"expected an object, got {_brief(value)}")


def field(source: JSONObject, name: str, read: Callable[[JSON], T]) -> T:
    """The member *name* of *source*, read by *read*."""
    if name not in source:
        raise MalformedError("missing", (name,))
    try:
        return read(source[name])
    except MalformedError as problem:
        raise problem.under(name) from None


def default(
    source: JSONObject, name: str, read: Callable[[JSON], T], missing: Callable[[], T]
) -> T:
    """As `field`; what *missing* makes where an earlier version did not write the member."""
    return field(source, name, read) if name in source else missing()


def each(value: JSON, read: Callable[[JSON], T]) -> list[T]:
    """Every item of an array, read by *read*."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise MalformedError(f"expected an array, got {_brief(value)}")
    items: list[T] = []
    for index, item in enumerate(value):
        try:
            items.append(read(item))
        except MalformedError as problem:
            raise problem.under(index) from None
    return items


def optional(read: Callable[[JSON], T]) -> Callable[[JSON], T | None]:
    """*read*, with null for None."""
    return lambda value: None if value is None else read(value)


def array_of(read: Callable[[JSON], T]) -> Callable[[JSON], list[T]]:
    """A reader of arrays of what *read* reads."""
    return lambda value: each(value, read)


def text(value: JSON) -> str:
    """*value* as a string."""
    if isinstance(value, str):
        return value
    raise MalformedError(f"expected a string, got {_brief(value)}")


def flag(value: JSON) -> bool:
    """*value* as true or false."""
    if isinstance(value, bool):
        return value
    raise MalformedError(f"expected true or false, got {_brief(value)}")


def seconds(value: JSON) -> float:
    """*value* as a number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise MalformedError(f"expected a number, got {_brief(value)}")


def whole(low: int, high: int) -> Callable[[JSON], int]:
    """A reader of whole numbers from *low* to *high*."""

    def read(value: JSON) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise MalformedError(f"expected a whole number {low} to {high}, got {_brief(value)}")

    return read


def named(choices: type[E]) -> Callable[[JSON], E]:
    """A reader of the members of an enumeration, by the name `str()` gives them."""
    by_name = {str(choice): choice for choice in choices}

    def read(value: JSON) -> E:
        if isinstance(value, str) and value in by_name:
            return by_name[value]
        raise MalformedError(f"expected one of {', '.join(by_name)}, got {_brief(value)}")

    return read


def parsed(parse: Callable[[str], T]) -> Callable[[JSON], T]:
    """A reader of strings that *parse* understands; its ValueError becomes a MalformedError."""

    def read(value: JSON) -> T:
        try:
            return parse(text(value))
        except MalformedError:
            raise
        except ValueError as problem:
            raise MalformedError(str(problem)) from None

    return read


def _ip_address(value: str) -> IPAddress:
    return IPv6Address(value) if ":" in value else IPv4Address(value)


address = parsed(_ip_address)
"""A reader of IP addresses; quicker than trying both families."""

port = whole(0, 65535)


def _brief(value: JSON) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."  # noqa: PLR2004  # fits a line
