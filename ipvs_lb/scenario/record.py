"""What came of scenarios, for people line by line, as JSON, and as the JUnit XML that CI systems read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as Xml

from ipvs_lb.amounts import plural
from ipvs_lb.scenario.play import Kind, News
from ipvs_lb.scenario.steps import Expect, Scenario, Watch
from ipvs_lb.serial import JSON

LAB_TEST_SCHEMA = "ipvs_lb/lab-test/1"


@dataclass(slots=True)
class Record:
    """Everything that was told of one scenario; `error` ended it before its end."""

    scenario: Scenario
    news: list[News] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it came to its end, and every expectation held."""
        return self.error is None and not self._of(Kind.FAILED)

    def _of(self, kind: Kind) -> list[News]:
        return [news for news in self.news if news.kind is kind]

    @property
    def result(self) -> str:
        """How it ended, in a line."""
        held, failed = len(self._of(Kind.HELD)), len(self._of(Kind.FAILED))
        told = f"{held} of {plural(_expected(self.scenario), 'expectation')} held"
        failures = f", {failed} failed" if failed else ""
        return f"{told}{failures}, {self.seconds:.1f} s"


def _expected(scenario: Scenario) -> int:
    return sum(isinstance(step.doing, Expect | Watch) for step in scenario.steps)


def to_json(records: Sequence[Record]) -> dict[str, JSON]:
    """All records as one object."""
    return {
        "schema": LAB_TEST_SCHEMA,
        "passed": all(record.passed for record in records),
        "scenarios": [_scenario_json(record) for record in records],
    }


def _scenario_json(record: Record) -> dict[str, JSON]:
    return {
        "name": record.scenario.name,
        "file": record.scenario.file,
        "config": str(record.scenario.config),
        "passed": record.passed,
        "seconds": round(record.seconds, 3),
        "error": record.error,
        "happened": [_news_json(news) for news in record.news],
    }


def _news_json(news: News) -> dict[str, JSON]:
    return {
        "at": round(news.at, 3),
        "kind": news.kind.value,
        "text": news.text,
        "detail": news.detail or None,
        "took": round(news.took, 3),
        "place": None if news.step is None else news.step.origin,
    }


def to_junit(records: Sequence[Record]) -> str:
    """A test suite for each scenario, a test case for each expectation."""
    suites = Xml.Element("testsuites")
    for record in records:
        cases = list(_cases(record))
        failed = sum(case.find("failure") is not None for case in cases)
        suite = Xml.SubElement(
            suites,
            "testsuite",
            name=record.scenario.name,
            tests=str(len(cases)),
            failures=str(failed),
            errors=str(sum(case.find("error") is not None for case in cases)),
            skipped=str(sum(case.find("skipped") is not None for case in cases)),
            time=f"{record.seconds:.3f}",
        )
        suite.extend(cases)
    Xml.indent(suites)
    return Xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _cases(record: Record) -> Iterator[Xml.Element]:
    told = {news.step: news for news in record.news if news.kind in {Kind.HELD, Kind.FAILED}}
    for step in record.scenario.steps:
        if not isinstance(step.doing, Expect | Watch):
            continue
        news = told.get(step)
        case = _case(record, f"{step.when}: {step.text}", 0 if news is None else news.took)
        if news is None:
            Xml.SubElement(case, "skipped", message="the scenario ended before")
        elif news.kind is Kind.FAILED:
            failure = Xml.SubElement(case, "failure", message=_clean(news.detail))
            failure.text = _clean(f"{step.origin}\n{_course(record, news.at)}")
        yield case
    if record.error is not None:
        case = _case(record, "the scenario comes to its end", record.seconds)
        Xml.SubElement(case, "error", message=_clean(record.error))
        yield case


def _case(record: Record, name: str, seconds: float) -> Xml.Element:
    classname = f"ipvs_lb.{record.scenario.name}"
    return Xml.Element("testcase", name=_clean(name), classname=classname, time=f"{seconds:.3f}")


def _course(record: Record, until: float) -> str:
    """What had happened by then."""
    return "\n".join(line(news) for news in record.news if news.at <= until)


def _clean(text: str) -> str:
    """*text* without what XML cannot hold."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


_WORDS = {
    Kind.DONE: "do",
    Kind.EVENT: "event",
    Kind.TABLE: "table",
    Kind.HELD: "ok",
    Kind.FAILED: "FAILED",
}


def line(news: News) -> str:
    """One thing that happened, for people."""
    return f"{news.at:6.1f} s  {words(news.kind, news.text, news.detail, news.took)}"


def words(kind: Kind, text: str, detail: str, took: float) -> str:
    """The same without its time."""
    after = f" (after {took:.1f} s)" if took else ""
    more = f": {detail}" if detail else ""
    return f"{_WORDS[kind]:6} {text}{after}{more}"
