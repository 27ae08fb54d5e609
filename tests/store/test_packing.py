"""A packed state is the state."""

from __future__ import annotations

import json
import zlib

from hypothesis import given

from ipvs_lb.model.desired import Desired
from ipvs_lb.serial import desired_from_json, desired_to_json
from ipvs_lb.store.packing import pack
from tests.strategies import tables


@given(tables().map(Desired))
def test_what_was_packed_is_the_json_of_the_state(desired):
    read = json.loads(zlib.decompress(pack(desired)))
    assert read == desired_to_json(desired)
    assert desired_from_json(read) == desired


def test_an_empty_state_can_be_packed():
    assert json.loads(zlib.decompress(pack(Desired()))) == desired_to_json(Desired())
