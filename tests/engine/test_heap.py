"""The collector's work stays small, and garbage still goes."""

from __future__ import annotations

import gc
import weakref

import pytest

from ipvs_lb.engine import heap


class Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()


def test_what_is_there_is_not_looked_at_again():
    kept = [[number] for number in range(1000)]
    heap.settle()
    assert gc.get_freeze_count() >= len(kept)
    assert len(gc.get_objects()) < 1000


def test_garbage_from_before_goes_first():
    gc.freeze()
    knot = Knot()
    gc.collect()  # it is old now
    gone = weakref.ref(knot)
    del knot
    heap.settle()
    assert gone() is None


def test_much_that_is_new_is_not_searched():
    knot = Knot()
    gc.collect()
    gone = weakref.ref(knot)
    del knot
    heap.settle(quick=0)
    assert gone() is not None


def test_nothing_is_collected_at_rest_and_what_was_made_is_permanent():
    gc.freeze()
    with heap.at_rest():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)


def test_what_a_failure_leaves_behind_can_still_go():
    left: list[weakref.ref[Knot]] = []

    def fail() -> None:
        with heap.at_rest():
            left.append(weakref.ref(Knot()))
            raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        fail()
    assert gc.isenabled()
    assert left[0]() is not None
    gc.collect()
    assert left[0]() is None


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with heap.at_rest():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
