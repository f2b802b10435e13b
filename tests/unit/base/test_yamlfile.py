"""YAML with line numbers: every path knows its line, and whatever is no plain YAML is one kind of error."""

import re
from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from makeweight_base.errors import ConfigError
from makeweight_base.yamlfile import composed, parse

TEXT = """\
# a comment
model:
  inputs: {image: [N, 1, 8, 8]}

variants:
  int8:
    steps:
      - quantize: {method: static}
      - prune:
          ratio: 0.5
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse(text, "makeweight.yaml")
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("model",), 2),
        (("model", "inputs"), 3),
        (("model", "inputs", "image", 3), 3),
        (("variants", "int8", "steps", 0, "quantize", "method"), 8),
        (("variants", "int8", "steps", 1), 9),
        (("variants", "int8", "steps", 1, "prune", "ratio"), 10),
        # what the file does not hold points at the nearest thing above it
        (("variants", "int8", "runtime"), 6),
        (("variants", "int8", "steps", 7, "prune"), 7),
        (("nothing", "like", "this"), 2),
        ((), 2),
    ],
)
def test_every_path_has_a_line(path: tuple[str | int, ...], line: int) -> None:
    assert parse(TEXT, "f").line(path) == line


def test_an_index_that_a_validator_added_is_passed_over() -> None:
    document = parse("budget:\n  size:\n    max: 1 kB\n", "f")
    assert document.line(("budget", "size", 0, "max")) == 3


def test_a_problem_quotes_its_line() -> None:
    told = parse(TEXT, "makeweight.yaml").problem(("model", "inputs"), "model.inputs: no")
    assert (told.source, told.line, told.what) == ("makeweight.yaml", 3, "model.inputs: no")
    assert str(told) == "makeweight.yaml:3: model.inputs: no\n    3 |   inputs: {image: [N, 1, 8, 8]}"


def test_an_empty_file_has_a_first_line() -> None:
    document = parse("", "f")
    assert document.data is None
    assert str(document.problem(("a",), "empty")) == "f:1: empty"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: [1\n", 2, "this is not YAML"),
        ("a: 1\n\tb: 2\n", 2, "this is not YAML: a tab stands here.*indent with spaces"),
        ("a: b: c\n", 1, "this is not YAML: a second colon"),
        ("a:\n  b: 1\n c: 2\n", 3, "this is not YAML: this line is indented otherwise"),
        ("a: 1\nb:2\n# c\nd: 3\n", 2, "this is not YAML: a key stands here without its colon, or without the space"),
        ("a: 1\n<<<<<<< HEAD\nb: 2\n", 2, "without its colon"),
        ("a:\n  b:1\n  c: 2\n", 2, "without the space behind that"),
        ("a: http://b\n  c: 2\n", 2, "a second colon"),
        ("a: 'it's'\n", 1, "more stands behind what ends with a quote or a bracket; quote all of it"),
        ("a: 1\nb: [\n", 2, "the bracket that begins here is not closed"),
        ("a: [1, , 2]\n", 1, "no value stands before this comma"),
        ("a: 1\nb: ]\n", 2, "a bracket ends here that does not begin"),
        ("a: %5\n", 1, "no text begins with such a sign; quote it"),
        ('a: "C:\\data"\n', 1, "use single quotes"),
        ("a:\n  b: {c: 1\n  d: 2\n", 2, "this is not YAML: the bracket that begins here is not closed"),
        ('a: 1\nb: "c\nd: 2\n', 2, "this is not YAML: the quote that begins here is not closed"),
        ("a: 1\n---\nb: 2\n", 2, "this is not YAML"),
        ("a: *b\n", 1, "undefined alias"),
        ("x: 1\na: !!python/object/apply:os.system [ls]\n", 2, "could not determine a constructor"),
        ("x: 1\nuntil: 2024-06-31\n", 2, "`2024-06-31` cannot be read"),
        ("x: 1\nuntil: 2001-01-01T99:99:99Z\n", 2, "cannot be read"),
        ("a: 0x_\n", 1, "`0x_` cannot be read"),
        ("a: !!bool maybe\n", 1, "`maybe` cannot be read"),
        ("a: !!timestamp soon\n", 1, "`soon` cannot be read"),
        ("a: !!float soon\n", 1, "`soon` cannot be read"),
        pytest.param("a: " + "9" * 5000, 1, "cannot be read", id="a huge integer"),
        ("a: 1\nb: 2\na: 3\n", 3, "`a` is given twice; the first is on line 1"),
        ("a:\n  b: 1\n  b: 2\n", 3, "`b` is given twice; the first is on line 2"),
        ("a: {b: 1, b: 2}\n", 1, "`b` is given twice"),
        ("? [a]\n: b\n", 1, "unhashable key"),
        ("a: &a [*a]\n", 1, "holds itself"),
        pytest.param("[" * 3000, 1, "this is not YAML|nested too deeply", id="nested without end"),
        ("a: \x00\n", 1, "this is not YAML"),
        ("a: 1\nb: 2\x07\nc: 3\n", 2, r"an invisible character stands here \(U\+0007\)"),
    ],
)
def test_what_is_no_plain_yaml_is_told_with_its_line(text: str, line: int, said: str) -> None:
    told = problems_of(text)[0]
    assert told.startswith(f"makeweight.yaml:{line}: ")
    assert re.search(said, told)


def test_anchors_that_unfold_without_end_are_told() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "the file unfolds to over 100,000 entries" in problems_of("\n".join(rows))[0]


@pytest.mark.parametrize("text", ["\ufeffa: 1\r\nb: [2,\r\n  3]\r\n", "a: 1\rb: [2,\r  3]\r"])
def test_files_from_other_systems(text: str) -> None:
    document = parse(text, "f")
    assert document.data == {"a": 1, "b": [2, 3]}
    assert document.line(("b", 1)) == 3
    assert str(document.problem(("b", 1), "no")) == "f:3: no\n    3 |   3]"


def test_all_keys_given_twice_are_told_at_once() -> None:
    assert len(problems_of("a: 1\na: 2\nb: 1\nb: 2\nb: 3\n")) == 3


def test_keys_that_yaml_does_not_read_as_text_are_noted() -> None:
    document = parse("1: a\non: b\n'1.5': c\n2024-01-01: d\n~: e\ntext: f\n<<: {merged: g}\n", "f")
    assert [path[-1] for path in document.unquoted] == ["1", "on", "2024-01-01", "~"]
    assert document.line(("2024-01-01",)) == 4


def test_plain_data_is_what_yaml_says() -> None:
    document = parse("day: 2024-06-30\nshare: 5 %\ncount: 3\nmerged: {<<: {a: 1}, b: 2}\n", "f")
    assert document.data == {"day": date(2024, 6, 30), "share": "5 %", "count": 3, "merged": {"a": 1, "b": 2}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &x {b: 1}\nc: {<<: *x, d: 2}\n", id="merged"),
        pytest.param("a: &x {b: 1}\nc: {!!merge m: *x, d: 2}\n", id="merged by a tag"),
        pytest.param("a: 1\nb: {=: c}\n", id="an equals sign for a key"),
        pytest.param("a: {?=: c}\n", id="one right behind its mark"),
        pytest.param("\ufeff=: c\n", id="one right behind a byte order mark"),
        pytest.param("a: [&x =]\n? *x\n: 1\n", id="one that stands elsewhere"),
    ],
)
def test_what_others_look_at_is_not_altered(text: str) -> None:
    parse(text, "f")
    assert yaml.serialize(composed(text)) == yaml.serialize(yaml.compose(text, Loader=yaml.SafeLoader))
    assert parse(text, "f") == parse(text, "f")
    assert parse(text, "f").data == yaml.safe_load(text)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(plain)
def test_reads_what_yaml_itself_wrote(data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    assert parse(text, "f").data == yaml.safe_load(text)


def refusal(text: str) -> list[str] | None:
    """The problems of a text; None when it is read. Any other exception fails the test."""
    try:
        parse(text, "f")
    except ConfigError as refused:
        return [str(problem) for problem in refused.problems]
    return None


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    told = refusal(text)
    assert told is None or (told and all(re.match(r"f:\d+: ", problem) for problem in told))


@given(st.text(alphabet="ab:-[]{}&*!|>%@?<~'\"#, \n\t01.xTZ", max_size=40))
def test_any_scribble_in_yaml_signs_is_read_or_refused(text: str) -> None:
    told = refusal(text)
    assert told is None or (told and all(re.match(r"f:\d+: ", problem) for problem in told))


@pytest.mark.parametrize("value", ['!!int ""', '!!float ""', "!!int _", ":".join(["1"] * 200) + ".0"])
def test_what_cannot_be_the_number_that_it_looks_like_is_refused_with_its_line(value: str) -> None:
    (problem,) = problems_of(f"a: 1\nb: {value}\n")
    assert problem.startswith("makeweight.yaml:2: ")
    assert "cannot be read" in problem
