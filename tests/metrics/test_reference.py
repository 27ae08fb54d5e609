"""docs/reference/metrics.md says what the code does."""

from pathlib import Path

from ipvs_lb.api.traffic import Reason
from ipvs_lb.config.check_forms import FORMS
from ipvs_lb.engine.tally import SECONDS
from ipvs_lb.metrics.families import FAMILIES
from ipvs_lb.metrics.reference import LABELS, text
from ipvs_lb.model.results import ErrorClass

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_the_reference_is_fresh():
    """`python -m ipvs_lb.metrics.reference` writes it."""
    assert PAGE.read_text() == text()


def test_every_label_is_explained_and_no_other():
    assert set(LABELS) == {label for family in FAMILIES for label in family.labels}


def test_the_bounds_that_it_names_are_right():
    assert f"at most {len(FORMS)}" in LABELS["check"]
    assert f"at most {len(ErrorClass) + 1}" in LABELS["result"]
    assert LABELS["reason"] == ", ".join(f"`{reason}`" for reason in Reason)
    assert f"| {len(SECONDS) + 3} of the histogram" in text()


def test_names_follow_prometheus_conventions():
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        base = {"seconds": "_seconds", "bytes": "_bytes", "Unix time": "_seconds"}.get(family.unit)
        if base:
            assert family.name.removesuffix("_total").endswith(base), family.name
        assert family.meaning.endswith(".")
