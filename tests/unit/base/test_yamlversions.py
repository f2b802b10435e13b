"""What is read here and what DVC reads: the same, or an objection. Held against the very loader that DVC uses."""

from __future__ import annotations

import math

import pytest
import ruamel.yaml.main
from dvc.utils.serialize import ParseError, parse_yaml
from hypothesis import example, given
from hypothesis import strategies as st

from makeweight_base.errors import ConfigError
from makeweight_base.yamlfile import Document, parse
from makeweight_base.yamlversions import odd_break

APART = ("010", "-010", "0o10", "08", "1e3", "1.5e3", "-.5", "12:30:45", "1:30.5", "yes", "on", "No", "OFF", "0_7",
         "2026-01-31", "2026-01-31 10:00:00", "!!int '10'", "!!str 10", "!!float 1", "!!set {a}", "! 010")  # fmt: skip
ALIKE = ("10", "-3", "+5", "0", "00", "1_000", "0x1F", "0b11", "0.5", ".5", "1.", "1.5e+3", "01.5", ".inf", "-.inf",
         ".nan", "true", "False", "TRUE", "~", "null", "", "y", "n", "static", "1.2.3", "8bit", "'010'", '"yes"',
         "5 %", "400 kB", "v1", "1e", "e3", "0.5 pt", "a:b", "<<", "examples.digits.data:load", "[1, 2]",
         "{a: 1, b: [x]}")  # fmt: skip


def read(text: str) -> Document | None:
    try:
        return parse(text, "f")
    except ConfigError:
        return None


def dvc(text: str, *, in_c: bool) -> object:
    """By LibYAML, as where ruamel.yaml.clib is installed, or by the parser in Python."""
    assert ruamel.yaml.main.CParser is not None, "tests have it installed"
    with pytest.MonkeyPatch.context() as patch:
        if not in_c:
            patch.setattr(ruamel.yaml.main, "CParser", None)
        return parse_yaml(text, "f")


def same(ours: object, theirs: object) -> bool:
    """Equal in type too, with the nothing that is a number equal to itself."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours):
        return math.isnan(theirs)
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("written", APART)
def test_what_the_two_may_read_apart_is_an_objection(written: str) -> None:
    document = parse(f"seed: {written}\n", "f")
    assert document.ambiguous[0][0] == ("seed",)


@pytest.mark.parametrize("written", [each for each in ALIKE if each != "<<"])
def test_what_both_read_alike_is_none(written: str) -> None:
    text = f"seed: {written}\n"
    document = parse(text, "f")
    assert document.ambiguous == ()
    assert same(document.data, dvc(text, in_c=False))
    assert same(document.data, dvc(text, in_c=True))


def test_the_objection_says_what_to_write() -> None:
    for written, instead in {
        "010": "write a decimal number without a leading zero, or quote it",
        "yes": "write `true` or `false`, or quote it",
        "1e3": "write a number in plain decimals (`8`, `0.5`, `1000`), or quote it",
        "2026-01-31": "quote it",
    }.items():
        ((path, said),) = parse(f"a: [{written}]\n", "f").ambiguous
        assert path == ("a", 0)
        assert said.startswith(f"`{written}` is one value in YAML 1.1")
        assert said.endswith(f"; {instead}")


def test_a_key_that_only_dvc_takes_for_a_number_is_one_too() -> None:
    assert [path for path, _ in parse("1e3: a\n08: b\nv1: c\n", "f").ambiguous] == [("1e3",), ("08",)]


@given(st.text(alphabet="0123456789_+-.:eExobnaifNTrueyYsS~", max_size=9).filter(lambda text: text != "_"))
@example("0b_")
@example("+.5")
@example("1_")
def test_a_scalar_without_objection_is_one_value_to_both(scalar: str) -> None:
    text = f"seed: {scalar}\n"
    document = read(text)
    if document is None or document.ambiguous or document.unquoted:
        return
    for in_c in (False, True):
        try:
            theirs = dvc(text, in_c=in_c)
        except (ParseError, ValueError):
            continue  # DVC itself refuses the file, which passes nothing by
        assert same(document.data, theirs), scalar


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029", "\ufeff"])
def test_what_ends_a_line_for_one_reader_only_is_found(mark: str) -> None:
    assert odd_break(f"a: 1\nb: 2 # {mark}c: 3\n") == 2
    assert odd_break("\ufeffa: 1\r\nb: 2\n") is None


REFUSED = ("{a: b:c}", "[a:b]", "{a: http://x/y}", "{a: [b:c]}", "{a:b: c}", "{a:b}", "[12:30]", "[a\n b:c]",
           "{a: &x b:c}", "a: {b: [1, {c: d::e}]}")  # fmt: skip
READ = ("a: b:c", "- b:c", "{a: 'b:c'}", '["b:c"]', "{a: b, c: d}", "a: &x b:c\nd: {e: *x}", "[a b, 5%, -b]")


@pytest.mark.parametrize("text", REFUSED)
def test_what_a_reader_in_c_refuses_is_told_with_its_mend(text: str) -> None:
    ((_, said),) = parse(text, "f").refused
    assert "quote it" in said
    with pytest.raises(ParseError):
        dvc(text, in_c=True)


@pytest.mark.parametrize("text", READ)
def test_what_that_reader_takes_is_not(text: str) -> None:
    document = parse(text, "f")
    assert document.refused == ()
    assert same(document.data, dvc(text, in_c=True))
