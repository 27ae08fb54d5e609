"""A history loses nothing but the oldest."""

from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.engine.history import History
from ipvs_lb.model.results import AgentReport, ErrorClass, Result, Timings

RESULTS = st.builds(
    Result,
    error=st.sampled_from([None, ErrorClass.RESET, ErrorClass.TIMEOUT]),
    detail=st.sampled_from(["", "a", "b"]),
    timings=st.builds(
        Timings,
        connect=st.none() | st.floats(0, 9),
        tls=st.none() | st.floats(0, 9),
        first_byte=st.none() | st.floats(0, 9),
        total=st.floats(0, 9),
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
