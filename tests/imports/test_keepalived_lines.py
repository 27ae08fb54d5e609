"""What keepalived sees in its file: comments, quotes, includes, parameters, conditions, sequences."""

from __future__ import annotations

import pytest

from ipvs_lb.errors import ConfigError
from ipvs_lb.imports.findings import Findings
from ipvs_lb.imports.keepalived.lines import Reader, TooMuchError
from ipvs_lb.imports.keepalived.statements import Statement, statements
from ipvs_lb.imports.keepalived.words import words
from ipvs_lb.imports.sources import Text
from tests.imports.files import Shelf, imported


def seen(text: str, config_id: str = "main", **others: str) -> list[str]:
    """The lines that count, each with its place."""
    shelf = Shelf({f"{name}.conf": other for name, other in others.items()})
    reader = Reader(shelf, config_id, Findings())
    return [f"{line.mark}: {line.text}" for line in reader.lines(Text("x", "/here", text))]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("a ! b\n# c\n\nd # e", ["x:1: a", "x:4: d"], id="comments"),
        pytest.param("a \"b # c\" '!' d", ["x:1: a \"b # c\" '!' d"], id="comment-signs-in-quotes"),
        pytest.param(r"a \# b", [r"x:1: a \# b"], id="an-escaped-comment-sign"),
        pytest.param("$A=1\nb $A c${A}d", ["x:2: b 1 c1d"], id="parameters"),
        pytest.param("$A=1\nb $A.c $Ab", ["x:2: b $A.c $Ab"], id="a-parameter-ends-at-a-blank"),
        pytest.param("b ${UNKNOWN}", ["x:1: b ${UNKNOWN}"], id="unknown-parameters-stay"),
        pytest.param(
            "$A=1${B}\n$B=2\n${A}\n$B=3\n${A}", ["x:3: 12", "x:5: 13"], id="filled-in-when-used"
        ),
        pytest.param("$A=\nb $A", ["x:2: b"], id="an-empty-parameter"),
        pytest.param(
            "$A= \\\n one $N \\\n two\n$N=1\n$A\n$N=2\n$A",
            ["x:2: one 1", "x:3: two", "x:2: one 2", "x:3: two"],
            id="parameters-of-several-lines-keep-their-places",
        ),
        pytest.param(
            "$A= \\\n one \\\n $M=3\nb $A c $M",
            ["x:2: b one", "x:4: c 3"],
            id="definitions-within-parameters",
        ),
        pytest.param(
            "$A=two words \\\n and more\nb $A",
            ["x:1: b two words", "x:2: and more"],
            id="text-before-a-backslash",
        ),
        pytest.param(
            "@main a\n@spare b\n@^main c\n@^spare d", ["x:1: a", "x:4: d"], id="conditions"
        ),
        pytest.param("@main $P=1\n@spare $P=2\na $P", ["x:3: a 1"], id="conditional-parameters"),
        pytest.param(
            "$IF=@main\n$IF a\n$IF=@spare\n$IF b", ["x:2: a"], id="conditions-in-parameters"
        ),
        pytest.param(
            "@spare $A= \\\n b\n$A c\n@main $D= \\\n e \\\n f\n$D",
            ["x:3: $A c", "x:5: e", "x:6: f"],
            id="conditional-parameters-of-several-lines",
        ),
        pytest.param("~SEQ(I, 1, 3) a${I}", ["x:1: a1", "x:1: a2", "x:1: a3"], id="sequence"),
        pytest.param("~SEQ(I, 2) a${I}", ["x:1: a1", "x:1: a2"], id="sequence-to-an-end"),
        pytest.param("~SEQ(I, -2) a${I}", ["x:1: a-1", "x:1: a-2"], id="sequence-below-zero"),
        pytest.param(
            "~SEQ(I, 5, -2, 1) a${I}", ["x:1: a5", "x:1: a3", "x:1: a1"], id="sequence-down"
        ),
        pytest.param("~SEQ(I, 3, 2) a${I}", ["x:1: a3", "x:1: a2"], id="sequence-down-by-itself"),
        pytest.param(
            "~SEQx(I, 0x9, 1, 11) a${I}", ["x:1: a9", "x:1: aa", "x:1: ab"], id="hex-sequence"
        ),
        pytest.param("~LST(I, x, y) a${I}", ["x:1: ax", "x:1: ay"], id="list"),
        pytest.param(
            "~LST({I, J}, {1,2}, {3,4}) a${I}${J}", ["x:1: a12", "x:1: a34"], id="list-of-pairs"
        ),
        pytest.param(
            "~LST(I, p, q) ~SEQ(J, 1, 2) ${I}${J}",
            ["x:1: p1", "x:1: p2", "x:1: q1", "x:1: q2"],
            id="lists-of-sequences",
        ),
        pytest.param(
            "$V= \\\n a${I} \\\n b\n~SEQ(I, 1, 2) $V",
            ["x:2: a1", "x:3: b", "x:2: a2", "x:3: b"],
            id="sequence-of-blocks",
        ),
        pytest.param(
            "a ${_PWD} ${_INSTANCE} ${_HASH} ${_BANG}",
            ["x:1: a /here main # !"],
            id="parameters-that-are-there",
        ),
        pytest.param("a ${_RANDOM 1 9}\nb", ["x:2: b"], id="chance"),
        pytest.param("$A=1\nb " + "${A}" * 100, ["x:2: b " + "1" * 100], id="many-references"),
        pytest.param("~tilde", ["x:1: ~tilde"], id="something-else-with-a-tilde"),
    ],
)
def test_lines_are_what_keepalived_makes_of_them(text, lines):
    assert seen(text) == lines


def test_included_files_are_read_in_place_and_share_parameters():
    text = "$A=1\ninclude b.conf\nincluder 'c*.conf'\na $A"
    lines = seen(text, b="b $A\n$A=2", c1="include d.conf\nc1", c2="c2", d="d $A")
    assert lines == ["b.conf:1: b 1", "d.conf:1: d 2", "c1.conf:2: c1", "c2.conf:1: c2", "x:4: a 2"]


@pytest.mark.parametrize(
    ("text", "others"),
    [
        pytest.param("include b.conf", {"b": "include b.conf"}, id="files"),
        pytest.param("$A=${B}\n$B=${A}\n${A}", {}, id="parameters"),
        pytest.param("$A=1${A}\n${A}", {}, id="a-parameter-in-itself"),
        pytest.param("$A= \\\n a \\\n $A\n$A", {}, id="a-parameter-of-several-lines-in-itself"),
    ],
)
def test_what_never_ends_is_refused(text, others):
    with pytest.raises(TooMuchError):
        seen(text, **others)
    with pytest.raises(ConfigError):
        imported(text, **others)


def test_more_lines_than_anybody_writes_are_refused():
    reader = Reader(Shelf({}), "main", Findings(), most_lines=20)
    with pytest.raises(TooMuchError, match="more than 20 lines"):
        list(reader.lines(Text("x", "/here", "~SEQ(I, 1, 5) ~SEQ(J, 1, 5) a")))


def test_a_line_longer_than_anybody_writes_is_refused():
    with pytest.raises(TooMuchError, match="more than 65536 characters"):
        seen(f"$A={'1' * 7000}\n{'${A}' * 20}")


@pytest.mark.parametrize(
    "text",
    [
        "~SEQ(I) a",
        "~SEQ(I, one, 3) a",
        "~SEQ(I, 1, 0, 3) a",
        "~SEQ(I, 1, 9999999) a",
        "~LST(I) a",
        "~LST({I, J}, {1}) a",
        "~LST() a",
        "~SEQ a",
    ],
)
def test_a_sequence_without_sense_is_told_and_left_out(text):
    found = imported(text)
    assert [str(one.mark) for one in found.findings] == ["x:1"]
    assert found.services == 0


def test_lines_of_other_machines_are_told_once_for_each():
    found = imported("@spare a\n@spare b\n@^main c\n")
    assert [(one.mark.line, one.what) for one in found.findings] == [
        (1, "lines for @spare"),
        (3, "lines for @^main"),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param('a "b c" d', ["a", "b c", "d"], id="quotes"),
        pytest.param("a'b \"c'd", ['ab "cd'], id="quotes-inside"),
        pytest.param(r"path /a\n", ["path", r"/a\n"], id="a-backslash-is-one"),
        pytest.param(r'regex "a\\.b\n\x41\101\q"', ["regex", "a\\.b\nAAq"], id="escapes"),
        pytest.param("regex a\\", ["regex", "a"], id="a-backslash-at-the-end"),
        pytest.param("host 80{", ["host", "80", "{"], id="a-brace-that-clings"),
    ],
)
def test_words_are_held_together_by_quotes(line, found):
    assert [word.text for word in words(line)] == found


def tree(text: str, findings: Findings | None = None) -> list[object]:
    lines = Reader(Shelf({}), "main", Findings()).lines(Text("x", "/here", text))
    return [plain(one) for one in statements(lines, findings or Findings())]


def plain(statement: Statement) -> object:
    if statement.block is None:
        return statement.title
    return statement.title, [plain(one) for one in statement.block]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("a 1\nb", ["a 1", "b"], id="plain"),
        pytest.param("a {\nb 2\n}\nc", [("a", ["b 2"]), "c"], id="block"),
        pytest.param("a 1\n{\nb\n}\n", [("a 1", ["b"])], id="brace-on-its-own-line"),
        pytest.param("a { b 2 }\nc", [("a", ["b 2"]), "c"], id="in-one-line"),
        pytest.param("a {\nb {\n}\nc\n}", [("a", [("b", []), "c"])], id="nested"),
        pytest.param('a "{"\nb', ["a {", "b"], id="quoted-brace"),
        pytest.param("{\na\n}", [("", ["a"])], id="nobody-s-block"),
    ],
)
def test_statements_have_words_and_blocks(text, found):
    assert tree(text) == found


def test_braces_that_do_not_match_are_told():
    findings = Findings()
    assert tree("}\na {\nb", findings) == [("a", ["b"])]
    assert [(one.mark.line, one.what) for one in findings.found] == [(1, "}"), (2, "a")]
