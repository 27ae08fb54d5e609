"""A schedule's laws."""

from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.engine.schedule import Schedule


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.floats(0, 100)))))
def test_a_schedule_gives_back_the_last_word_on_each_item_in_order(orders):
    schedule: Schedule[int] = Schedule()
    model: dict[int, float] = {}
    for item, due in orders:
        if due is None:
            schedule.remove(item)
            model.pop(item, None)
        else:
            schedule.put(item, due)
            model[item] = due
    assert len(schedule) == len(model)
    assert schedule.next_due() == min(model.values(), default=None)
    popped = schedule.pop_all(50.0)
    assert [due for due, _ in popped] == sorted(due for due in model.values() if due <= 50)
    assert {item: due for due, item in popped} == {i: d for i, d in model.items() if d <= 50}


def test_a_schedule_forgets_what_was_taken_out():
    schedule: Schedule[int] = Schedule()
    for number in range(10_000):
        schedule.put(number, number)
    for number in range(9_990):
        schedule.remove(number)
    assert len(schedule._heap) < 200
    for _ in range(10_000):
        schedule.put(9_995, 1e9)
    assert len(schedule._heap) < 200
