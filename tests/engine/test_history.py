"""A history loses nothing but the oldest."""

from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.engine.history import History
from ipvs_lb.model.results import AgentReport, ErrorClass, Result, Timings

TIMES = st.integers(0, 9_000_000).map(lambda microseconds: microseconds / 1_000_000)
RESULTS = st.builds(
    Result,
    error=st.sampled_from([None, ErrorClass.RESET, ErrorClass.TIMEOUT]),
    detail=st.sampled_from(["", "a", "b"]),
    timings=st.builds(
        Timings,
        connect=st.none() | TIMES,
        tls=st.none() | TIMES,
        first_byte=st.none() | TIMES,
        total=TIMES,
    ),
    weight=st.none() | st.integers(0, 3),
    agent=st.none() | st.builds(AgentReport, up=st.none() | st.booleans()),
)


@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 1e10), RESULTS), max_size=12))
def test_a_history_gives_back_the_last_outcomes_as_they_were(size, added):
    history = History(size)
    for at, result in added:
        history.add(at, result)
    assert [(one.at, one.result) for one in history.outcomes()] == added[-size:]
    failed = [at for at, result in added[-size:] if result.error is not None]
    newest = history.newest_failure()
    assert (None if newest is None else newest.at) == (failed[-1] if failed else None)
    twin = history.copy()
    twin.add(0.0, Result())
    assert [(one.at, one.result) for one in history.outcomes()] == added[-size:]


def test_timings_are_kept_to_the_microsecond_and_an_hour_at_most():
    history = History(1)
    history.add(0.0, Result(timings=Timings(connect=0.000_000_4, first_byte=1 / 3, total=1e9)))
    assert history[-1].result.timings == Timings(connect=0.0, first_byte=0.333_333, total=3600.0)
