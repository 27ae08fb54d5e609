"""Loading again: whatever is in the files, the result is that of a first load, and what has not changed is the same."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipvs_lb.config import Loader, load
from ipvs_lb.config.again import _load, _Memory
from ipvs_lb.config.compose import parse
from ipvs_lb.config.documents import ignore
from ipvs_lb.config.pieces import Piece, UncutError, cut
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.tree import Items
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.config import Config
from tests.config.test_config_mutations import EXAMPLES, MUTATIONS

TOP = "version: 1\n"
DEFAULTS = "defaults:\n  service: {scheduler: wrr}\n  health_check: {interval: 10s}\n"
POOLS = "pools:\n  one:\n    servers: [{address: 10.0.0.4}, {address: 10.0.0.6}]\n  two:\n    servers:\n      - {address: 10.0.0.8}\n"


def service(number: int, rest: str = "    servers: [{address: 10.0.1.4}]\n") -> str:
    return f"  - name: s{number}\n    vip: 10.0.0.{100 + number}\n    port: 80\n{rest}"


def pooled(number: int, pool: str) -> str:
    return service(number, f"    pool: {pool}\n")


THREE = TOP + "services:\n" + "".join(map(service, range(3)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lb.yaml"


class Case:
    """A file that is loaded again after every change, and compared with a first load of it."""

    def __init__(self, path: Path, environ: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.environ = dict(environ or {})
        self.loader = Loader(path, environ=self.environ)
        self.last = Config()

    def kept(self, text: str) -> list[bool]:
        """Whether each service is the very object of the load before."""
        self.path.write_text(text)
        before = {id(one) for one in self.last.services}
        self.last = again = self.loader.load()
        same_as(again, load(self.path, environ=self.environ))
        return [id(one) in before for one in again.services]


def same_as(one: Config, other: Config) -> None:
    assert one == other
    assert [s.origin for s in one.services] == [s.origin for s in other.services]


def outcome(path: Path, loader: Loader | None = None) -> Config | tuple[str, ...]:
    try:
        return load(path, environ={}) if loader is None else loader.load()
    except ConfigError as error:
        return error.problems


def problems_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        load(path, environ={})
    return refused.value.problems


def test_services_whose_text_has_not_changed_are_the_identical_objects(path):
    case = Case(path)
    assert case.kept(THREE) == [False] * 3
    assert case.kept(THREE) == [True] * 3
    assert case.kept(THREE.replace("10.0.0.101", "10.0.0.111")) == [True, False, True]


def test_a_service_that_moved_keeps_its_parts_and_has_its_new_line(path):
    case = Case(path)
    case.kept(THREE)
    before = case.last.services
    assert case.kept(THREE.replace("services:\n", "services:\n" + service(9))) == [False] * 4
    for old, new in zip(before, case.last.services[1:], strict=True):
        assert new.servers is old.servers
        assert new.origin != old.origin


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(TOP + DEFAULTS, TOP + DEFAULTS.replace("wrr", "lc"), id="defaults"),
        pytest.param(TOP, TOP + "manage_sysctls: true\n", id="a key of the first file"),
        pytest.param(TOP, TOP + "# nothing\n", id="a comment at the top"),
    ],
)
def test_what_stands_beside_the_services_concerns_all_of_them(path, first, second):
    case = Case(path)
    body = "services:\n" + service(1) + service(2)
    case.kept(first + body)
    assert case.kept(second + body) == [False] * 2


def test_a_changed_pool_concerns_the_services_that_name_it(path):
    case = Case(path)
    body = "services:\n" + pooled(1, "one") + pooled(2, "two") + service(3)
    case.kept(TOP + POOLS + body)
    assert case.kept(TOP + POOLS + body) == [True] * 3
    assert case.kept(TOP + POOLS.replace("10.0.0.8", "10.0.0.9") + body) == [True, False, True]


def test_a_new_service_finds_a_pool_that_has_not_changed(path):
    case = Case(path)
    body = "services:\n" + pooled(1, "one")
    case.kept(TOP + POOLS + body)
    assert case.kept(TOP + POOLS + body + pooled(2, "two") + pooled(3, "one")) == [
        *(True, False, False),
    ]


def test_another_value_of_a_variable_is_a_change(path):
    case = Case(path, {"WHERE": "10.0.1.5"})
    text = TOP + "services:\n" + service(1, "    servers: [{address: '${WHERE}'}]\n")
    case.kept(text)
    assert case.kept(text) == [True]
    case.environ["WHERE"] = "10.0.1.6"
    assert case.kept(text) == [False]
    assert str(case.last.services[0].servers[0].address) == "10.0.1.6"


def test_a_change_in_one_included_file_leaves_the_services_of_the_others(path):
    case = Case(path)
    (path.parent / "conf.d").mkdir()
    for number in (1, 2):
        (path.parent / f"conf.d/{number}.yaml").write_text("services:\n" + service(number))
    text = TOP + "include: conf.d/*.yaml\nservices:\n" + service(3)
    case.kept(text)
    (path.parent / "conf.d/2.yaml").write_text("services:\n" + service(4))
    (path.parent / "conf.d/3.yaml").write_text("# nothing yet\n")
    assert case.kept(text) == [True, True, False]


def test_a_vip_is_settled_anew_from_all_services(path):
    case = Case(path)
    shared = service(1).replace("port: 80", "port: 81")
    other = service(2).replace("vip: 10.0.0.102", "vip: {address: 10.0.0.101, announce: false}")
    case.kept(TOP + "services:\n" + shared + other)
    assert not case.last.services[0].vips[0].announce
    case.kept(TOP + "services:\n" + shared + other.replace("false", "true"))
    assert case.last.services[0].vips[0].announce


def test_after_a_refused_file_the_last_good_one_counts(path):
    case = Case(path)
    case.kept(THREE)
    path.write_text(THREE + "oops: 1\n")
    with pytest.raises(ConfigError):
        case.loader.load()
    assert case.kept(THREE) == [True] * 3


def test_a_file_that_is_not_there_is_told_as_ever(path):
    assert outcome(path, Loader(path)) == outcome(path)


def test_problems_between_services_are_told_with_both_places(path):
    case = Case(path)
    case.kept(THREE)
    path.write_text(THREE + service(2))
    assert outcome(path, case.loader) == outcome(path)
    assert any(":15:" in line and ":11:" in line for line in problems_of(path))
    path.write_text(THREE + service(4).replace("s4", "s2"))
    assert outcome(path, case.loader) == outcome(path)


CUT_OTHERWISE = {
    "a services list in brackets": TOP
    + "services: [{name: a, vip: 10.0.0.1, port: 80, servers: []}]",
    "no entries": TOP + "services:\n# none\n",
    "a document marker": "---\n" + THREE,
    "windows lines": THREE.replace("\n", "\r\n"),
    "an indented top": "\n".join("  " + line for line in THREE.splitlines()),
    "an anchor for another service": TOP
    + "services:\n"
    + service(1, "    servers: &all [{address: 10.0.1.4}]\n")
    + service(2, "    servers: *all\n"),
    "a quoted name over two entries": TOP
    + "services:\n"
    + service(1).replace("s1", '"s1\n  - name: s2"'),
    "a key in quotes": TOP.replace("version", '"version"') + "services:\n" + service(1),
    "a pool in quotes": TOP + POOLS.replace("two", "'two'") + "services:\n" + service(1),
    "pools twice": TOP + POOLS + "services:\n" + service(1) + POOLS,
    "a pool twice": TOP + POOLS + "  one:\n    servers: []\nservices:\n" + service(1),
    "nothing": "",
    "a key beside the list": TOP + "services:\n" + service(1) + "  name: x\n",
    "an entry further left": TOP + "services:\n" + service(1) + " - name: x\n",
    "an entry in the first column": TOP + "services:\n" + service(1) + "- name: x\n",
    "a service that is a word": TOP + "services:\n" + service(1) + "  - oops\n",
    "a bad comment": "# \x07\n" + THREE,
    "a bad comment between": THREE.replace("services:\n", "services: # \x07\n"),
    "the same service twice": THREE + service(1),
    "a service that is wrong": THREE + service(4).replace("port", "prot"),
    "too little of a service": THREE + "  - name: s7\n",
    "a pool twice in two files": TOP + "include: other.yaml\n" + POOLS + "services:\n" + service(1),
    "a second document": THREE + "---\nversion: 1\n",
    "an end marker": THREE + "...\n",
}


@pytest.mark.parametrize("text", CUT_OTHERWISE.values(), ids=CUT_OTHERWISE)
def test_what_cannot_be_cut_or_has_problems_is_loaded_as_a_whole(path, text):
    (path.parent / "other.yaml").write_text(POOLS)
    loader = Loader(path, environ={})
    path.write_text(THREE)
    loader.load()
    path.write_text(text)
    with pytest.raises(UncutError):
        _load(path, {}, ignore, _Memory())
    assert outcome(path, loader) == outcome(path)


CUT_ALL_THE_SAME = {
    "dashes in the first column": TOP
    + "services:\n- name: a\n  vip: 10.0.0.1\n  port: 80\n  servers: []\n",
    "a byte order mark": "\ufeff" + THREE,
    "no end of the last line": THREE.removesuffix("\n"),
    "comments everywhere": "# top\n" + THREE.replace("\n", "\n# c\n\n").replace("80", "80 # http"),
    "services first": "services:\n" + service(1) + TOP,
    "pools last": TOP + "services:\n" + pooled(1, "two") + "\n" + POOLS,
    "entries in brackets": TOP
    + "services:\n  - {name: a, vip: 10.0.0.1, port: 80, servers: [\n {address: 10.0.1.1}]}\n",
    "a dash on its own line": TOP
    + "services:\n  -\n    name: a\n    vip: 10.0.0.1\n    port: 80\n    servers: []\n",
}


@pytest.mark.parametrize("text", CUT_ALL_THE_SAME.values(), ids=CUT_ALL_THE_SAME)
def test_ways_of_writing_that_are_cut(path, text):
    path.write_text(text)
    config, _ = _load(path, {}, ignore, _Memory())
    same_as(config, load(path, environ={}))


def test_the_pieces_are_all_of_the_text():
    pieces = cut(TOP + "# c\n" + POOLS + "services: # s\n\n" + service(1) + service(2))
    assert [piece.line for piece in pieces.services] == [9, 14]
    assert "".join(
        [pieces.others["version"].text]
        + [one.text.removeprefix("pools:\n") for one in pieces.pools.values()]
        + [one.text.removeprefix("services:\n") for one in pieces.services]
    ) == TOP + "# c\n" + POOLS.removeprefix("pools:\n") + "services: # s\n\n" + service(
        1
    ) + service(2)


FRAGMENTS = [
    *(
        "- ",
        "-\n",
        "  ",
        "\n",
        "    ",
        "name: a\n",
        "key:",
        "services:\n",
        "pools:\n",
        "version: 1\n",
    ),
    *(
        "'",
        '"',
        "[",
        "]",
        "{",
        "}",
        ",",
        "|\n",
        "|+\n",
        ">2\n",
        "#",
        " # c\n",
        "? ",
        ": ",
        ":",
        "&x ",
        "*x",
    ),
    *(
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "!!str ",
        "\t",
        "\\",
        "word ",
        "10.0.0.1",
        "<<: ",
        "\u2028",
        "é",
    ),
]


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_text_with_anything_put_in_or_taken_out_loads_alike(tmp_path_factory, data):
    """Half of a file is loaded first, so that there is something to go by."""
    base = data.draw(
        st.sampled_from(
            [THREE, TOP + DEFAULTS + POOLS + "services:\n" + pooled(1, "one") + service(2)]
        )
    )
    path = tmp_path_factory.mktemp("again") / "lb.yaml"
    loader = Loader(path, environ={})
    path.write_text(base)
    loader.load()
    text = base
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.sampled_from([0, 0, 0, 1, 2, 5, 20]))
        put = "".join(data.draw(st.lists(st.sampled_from(FRAGMENTS), max_size=4)))
        text = text[:at] + put + text[at + gone :]
    path.write_text(text)
    compare(path, loader)


def compare(path: Path, loader: Loader) -> None:
    again, whole = outcome(path, loader), outcome(path)
    assert again == whole, path.read_bytes()
    if isinstance(again, Config) and isinstance(whole, Config):
        same_as(again, whole)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_examples_load_alike(seed, tmp_path):
    chance = random.Random(seed)
    path = tmp_path / "lb.yaml"
    loader = Loader(path, environ={})
    for _ in range(10):
        content = chance.choice(EXAMPLES).read_bytes()
        path.write_bytes(content)
        outcome(path, loader)
        for mutation in chance.choices(MUTATIONS, k=chance.randint(1, 2)):
            content = mutation(chance, content)
        path.write_bytes(content)
        compare(path, loader)


WORDS = [
    *(
        "a",
        "name: x",
        "b: 1",
        "\n    c: 2",
        "\n    d: |\n      t",
        "\n    d: |+\n      t\n",
        "\n   ",
    ),
    *(
        "\n    e: >-\n     u\n\n     v",
        "\n    - f",
        "\n      more",
        "\n    g: 'q",
        "\n    'q'",
        "'",
        '"',
    ),
    *(
        "\n    h: [1,",
        "\n    2]",
        "[",
        "]",
        " {",
        "}",
        " # c",
        "\n# c",
        "\n    # c",
        " |",
        " |1\n   x",
    ),
    *(
        "? k",
        "\n    ? k",
        "\n    : v",
        "\n\n",
        "&a 1",
        "*a",
        "\n  z",
        "\n  -x",
        "\n ",
        "- ",
        "\n   y: 1",
    ),
    *(": ", "\n    i:", "\n    i:\n    - 1\n    - 2", "\n  - j"),
]
ENDS = ["\n", "\n\n", "\n# e\n", "\n  # e\n", "\n   \n"]
entries = st.builds(
    lambda words, end: f"  - {''.join(words)}{end}",
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    st.sampled_from(ENDS),
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(entries, min_size=2, max_size=3))
def test_pieces_that_can_be_read_alone_are_what_they_are_in_the_file(written):
    """The law that all of this stands on, on anything that looks like entries."""
    try:
        pieces = cut(f"services:\n{''.join(written)}last: 1\n")
    except UncutError:
        return
    alone = [read_alone(piece) for piece in pieces.services]
    if None in alone or set(pieces.others) != {"last"}:
        return
    problems = Problems()
    text = f"services:\n{''.join(written)}last: 1\n"
    items = parse(text, name="", environ={}, problems=problems).root["services"]
    assert not problems.found
    assert [*zip(items, (mark.line + 1 for mark in items.marks), strict=True)] == alone


def read_alone(piece: Piece) -> tuple[object, int] | None:
    """The one entry that *piece* is, and its line in the file; None when it is not sound alone."""
    problems = Problems()
    root = parse(piece.text, name="", environ={}, problems=problems).root
    items = root.get("services")
    if problems.found or list(root) != ["services"] or not isinstance(items, Items):
        return None
    return (items[0], items.marks[0].line + piece.line) if len(items) == 1 else None


def test_another_word_on_all_guards_is_a_change(path):
    case = Case(path)
    text = TOP + "services:\n" + service(1)
    case.kept(text)
    case.kept("guard_vips: yes\n" + text)
    assert case.last.services[0].vips[0].guard
