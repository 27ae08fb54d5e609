"""What an operator is told when something goes wrong, and with which exit code a program ends."""

from ipaddress import ip_address

import pytest

from ipvs_lb.commands import AddService
from ipvs_lb.errors import (
    CodecError,
    ConfigError,
    DaemonError,
    HostError,
    KernelError,
    LabError,
    LBError,
    LockedError,
    Refusal,
    RefusedError,
    StoreError,
    UsageError,
)
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Service

WEB = AddService(
    AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80)), Service(scheduler="mh")
)
NO_SCHEDULER = Refusal(WEB, 2, "no scheduler mh", "modprobe ip_vs_mh")
NO_ROOM = Refusal(WEB, 12, "out of memory", None)


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (LBError, 1),
        (UsageError, 2),
        (KernelError, 4),
        (CodecError, 4),
        (HostError, 1),
        (StoreError, 1),
        (LockedError, 1),
        (DaemonError, 1),
        (LabError, 1),
    ],
)
def test_an_error_has_a_message_an_exit_code_and_perhaps_a_hint(kind, exit_code):
    error = kind("it is broken", hint="mend it")
    assert (str(error), error.exit_code, error.hint) == ("it is broken", exit_code, "mend it")
    assert kind("it is broken").hint is None


def test_a_refused_configuration_tells_every_problem_on_a_line_of_its_own():
    error = ConfigError(["lb.yaml:1:1: a", "lb.yaml:2:1: b"])
    assert str(error) == "lb.yaml:1:1: a\nlb.yaml:2:1: b"
    assert error.problems == ("lb.yaml:1:1: a", "lb.yaml:2:1: b")
    assert (error.exit_code, error.hint) == (2, None)


@pytest.mark.parametrize(
    ("refusals", "outcome", "message"),
    [
        pytest.param([NO_SCHEDULER], None, "no scheduler mh", id="one"),
        pytest.param([NO_SCHEDULER, NO_ROOM], None, "no scheduler mh (and 1 more)", id="two"),
        pytest.param(
            [NO_SCHEDULER, NO_ROOM, NO_ROOM],
            "nothing was changed",
            "no scheduler mh (and 2 more); nothing was changed",
            id="three-with-outcome",
        ),
    ],
)
def test_a_refused_batch_tells_the_first_refusal_and_how_many_more(refusals, outcome, message):
    error = RefusedError(refusals, outcome=outcome)
    assert str(error) == message
    assert error.hint == "modprobe ip_vs_mh"
    assert error.exit_code == 4
    assert error.refusals == tuple(refusals)


def test_a_refusal_remembers_its_command_and_the_kernel_s_code():
    assert (NO_SCHEDULER.command, NO_SCHEDULER.code) == (WEB, 2)
