"""An operator's standing orders."""

import pytest

from ipvs_lb.overrides import Action, Override, without_expired


@pytest.mark.parametrize(
    ("expires", "now", "expected"),
    [
        pytest.param(None, 1e12, True, id="no-end"),
        pytest.param(20.0, 19.9, True, id="before"),
        pytest.param(20.0, 20.0, False, id="at-its-end"),
        pytest.param(20.0, 21.0, False, id="after"),
    ],
)
def test_an_override_is_in_force_until_it_expires(expires, now, expected):
    assert Override(action=Action.DOWN, since=10.0, expires=expires).is_in_force(now) is expected


def test_expired_overrides_are_dropped():
    lasting = Override(action=Action.DRAIN, since=1.0)
    ending = Override(action=Action.WEIGHT, weight=3, since=1.0, expires=5.0)
    assert without_expired({"a": lasting, "b": ending}, 5.0) == {"a": lasting}
