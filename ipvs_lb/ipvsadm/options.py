"""The options of ipvsadm 1.31, and a command line cut into them as popt(3) does it.

Long and short forms, short ones combined (`-Ln`), a value behind `=`, glued to a short option, or as the next argument;
`--` ends the options; what is no option may stand anywhere.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ipvs_lb.errors import RuleError

FAILED = 255
"""What -1 becomes as an exit status."""


class Value(enum.Enum):
    """Whether an option has a value."""

    NONE = enum.auto()
    NEEDED = enum.auto()
    OPTIONAL = enum.auto()


@dataclass(frozen=True, slots=True)
class Option:
    """An option by its long name."""

    name: str
    value: Value = Value.NONE


_FLAGS = (
    "add-service:A edit-service:E delete-service:D clear:C list:L list:l zero:Z add-server:a edit-server:e "
    "delete-server:d set help:h version:v restore:R save:S masquerading:m ipip:i gatewaying:g numeric:n connection:c "
    "timeout daemon stats rate thresholds persistent-conn nosort sort exact:X ipv6:6 ops:o tun-info tun-nocsum "
    "tun-csum tun-remcsum"
)
_VALUED = (
    "start-daemon stop-daemon tcp-service:t udp-service:u sctp-service fwmark-service:f scheduler:s netmask:M "
    "real-server:r weight:w u-threshold:x l-threshold:y mcast-interface syncid pe sched-flags:b mcast-group mcast-port "
    "mcast-ttl sync-maxlen tun-type tun-port"
)


def _table() -> tuple[dict[str, Option], dict[str, Option]]:
    """The options by their long names and by their letters."""
    long: dict[str, Option] = {}
    short: dict[str, Option] = {}
    for words, value in (
        (_FLAGS, Value.NONE),
        (_VALUED, Value.NEEDED),
        ("persistent:p", Value.OPTIONAL),
    ):
        for word in words.split():
            name, _, letter = word.partition(":")
            long[name] = Option(name, value)
            if letter:
                short[letter] = long[name]
    return long, short


_LONG, _SHORT = _table()


class CommandLine:
    """Arguments, read option by option; what is no option collects in `rest`."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.rest: list[str] = []
        self._arguments = arguments
        self._next = 0
        self._letters = ""
        self._options_end = False

    @property
    def last(self) -> str:
        """The argument read last."""
        return self._arguments[self._next - 1]

    def option(self) -> tuple[str, str | None] | None:
        """The name and the value of the next option; None when there is none. Raises RuleError."""
        if self._letters:
            return self._short()
        while self._next < len(self._arguments):
            argument = self._take()
            if self._options_end or not argument.startswith("-") or argument == "-":
                self.rest.append(argument)
            elif argument == "--":
                self._options_end = True
            elif argument.startswith("--"):
                return self._long(argument[2:])
            else:
                self._letters = argument[1:]
                return self._short()
        return None

    def _take(self) -> str:
        self._next += 1
        return self.last

    def _long(self, text: str) -> tuple[str, str | None]:
        name, equals, value = text.partition("=")
        option = _LONG.get(name)
        if option is None:
            raise self._refused("unknown option")
        if not equals:
            return option.name, self._value(option)
        if option.value is Value.NONE:
            raise self._refused("option does not take an argument")
        return option.name, value

    def _short(self) -> tuple[str, str | None]:
        letter, glued = self._letters[0], self._letters[1:]
        self._letters = glued.removeprefix("=")
        option = _SHORT.get(letter)
        if option is None:
            raise self._refused("unknown option")
        if option.value is Value.NONE or not self._letters:
            return option.name, self._value(option)
        value, self._letters = self._letters, ""
        return option.name, value

    def _value(self, option: Option) -> str | None:
        """The next argument, where *option* takes it."""
        if option.value is Value.NONE:
            return None
        optional = option.value is Value.OPTIONAL
        if self._next == len(self._arguments):
            if optional:
                return None
            raise self._refused("missing argument")
        if optional and self._arguments[self._next].startswith("-"):
            return None
        return self._take()

    def _refused(self, reason: str) -> RuleError:
        return RuleError(f"{self.last}: {reason}", status=FAILED, goes_on=True)
