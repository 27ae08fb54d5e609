"""The event list: numbered without gaps, bounded, and continued after a restart."""

from ipvs_lb.events import Event, Level, Ring


def numbers(events):
    return [event.number for event in events]


def test_events_are_numbered_in_the_order_they_happen():
    ring = Ring()
    first = ring.add("server.down", 10.0, Level.WARNING, server="10.0.0.4:80", failures=3)
    second = ring.add("server.up", 11.0)
    assert first == Event(
        number=1,
        at=10.0,
        name="server.down",
        level=Level.WARNING,
        facts={"server": "10.0.0.4:80", "failures": 3},
    )
    assert (second.number, second.level, second.facts) == (2, Level.INFO, {})
    assert ring.last == 2
    assert ring.after(0) == (first, second)


def test_only_what_came_after_a_number_is_told():
    ring = Ring()
    for at in range(4):
        ring.add("plan.applied", float(at))
    assert numbers(ring.after(2)) == [3, 4]
    assert ring.after(4) == ()


def test_the_oldest_events_make_room_for_new_ones():
    ring = Ring(kept=2)
    for at in range(5):
        ring.add("plan.applied", float(at))
    assert numbers(ring.after(0)) == [4, 5]


def test_numbers_go_on_after_a_restart():
    before = Ring()
    kept = [before.add("server.up", 1.0), before.add("server.down", 2.0)]
    after = Ring()
    for event in kept:
        after.restore(event)
    assert after.add("server.up", 3.0).number == 3
    assert numbers(after.after(0)) == [1, 2, 3]


def test_numbers_go_on_when_no_event_was_kept():
    assert Ring(last=41).add("server.up", 1.0).number == 42
