"""System errors become errors an operator can act on."""

import errno

import pytest

from ipvs_lb.addresses.trouble import host_error, translated
from ipvs_lb.errors import HostError


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EPERM, "run as root"),
        (errno.EROFS, "set it on the host"),
        (errno.ENODEV, "ip link"),
        (errno.EIO, None),
    ],
)
def test_an_errno_gets_words_and_a_hint(code, hint):
    error = host_error("add address", code)
    assert str(error).startswith("add address: ")
    assert (error.hint is None) if hint is None else (hint in str(error.hint))


def test_an_error_without_an_errno_is_no_success():
    assert str(host_error("list interfaces", 0)) == "list interfaces: the kernel gave no reason"


def test_a_hint_of_the_caller_comes_first():
    hints = {errno.EACCES: "look elsewhere"}
    with (
        pytest.raises(HostError, match=r"^read: Permission denied$") as caught,
        translated("read", hints),
    ):
        raise PermissionError(errno.EACCES, "no")
    assert caught.value.hint == "look elsewhere"


def test_other_errors_pass_through():
    with pytest.raises(ValueError, match="bug"), translated("read"):
        raise ValueError("bug")
