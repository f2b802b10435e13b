"""Edits of YAML text: what is put there is there, and what was there is there to the byte."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from makeweight.pipeline.yamledit import dump, flow, put, put_each
from makeweight_base.errors import UsageError

NEW = {"cmd": "run ${item.x}", "deps": ["a", {"b": {"cache": False}}]}
BLOCK = """\
new:
  cmd: run ${item.x}
  deps:
    - a
    - b:
        cache: false
"""


def indented(text: str, by: int) -> str:
    return "".join(" " * by + line for line in text.splitlines(keepends=True))


def test_block_style_is_as_people_write_it() -> None:
    assert dump({"new": NEW}) == BLOCK
    assert dump("${variants}") == "${variants}\n"
    long = "word " * 60 + "end"
    assert dump([long]) == f"- {long}\n"


def test_a_text_keeps_the_dots_that_it_ends_in() -> None:
    """They are not those that end a document."""
    assert (dump("net..."), dump(["net..."]), flow(["net..."])) == ("net...\n", "- net...\n", "[net...]")
    assert put("b: 1\n", ("a",), "net...", source="f") == "b: 1\na: net...\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "stages:\n" + indented(BLOCK, 2), id="empty"),
        pytest.param("# mine\n", "# mine\nstages:\n" + indented(BLOCK, 2), id="comment only"),
        pytest.param("a: 1", "a: 1\nstages:\n" + indented(BLOCK, 2), id="no newline at the end"),
        pytest.param("a: 1\n# end\n", "a: 1\n# end\nstages:\n" + indented(BLOCK, 2), id="comment at the end"),
        pytest.param("stages:\nz: 1\n", "stages:\n" + indented(BLOCK, 2) + "z: 1\n", id="null"),
        pytest.param("stages:  # c\nz: 1\n", "stages:  # c\n" + indented(BLOCK, 2) + "z: 1\n", id="null, noted"),
        pytest.param("stages: {}  # c\n", "stages:  # c\n" + indented(BLOCK, 2), id="empty flow"),
        pytest.param(
            "stages:\n    t:\n        cmd: x  # c\n\n# tail\nz: 1\n",
            "stages:\n    t:\n        cmd: x  # c\n" + indented(BLOCK, 4) + "\n# tail\nz: 1\n",
            id="their own indentation",
        ),
        pytest.param(
            "stages:\n  t:\n    cmd: x\n  # off:\n  #   cmd: y\n# tail\n",
            "stages:\n  t:\n    cmd: x\n  # off:\n  #   cmd: y\n" + indented(BLOCK, 2) + "# tail\n",
            id="a stage commented out",
        ),
        pytest.param(
            "stages:\n  t:\n    cmd: >-\n      a\n\n      b\n\n\nz: 1\n",
            "stages:\n  t:\n    cmd: >-\n      a\n\n      b\n" + indented(BLOCK, 2) + "\n\nz: 1\n",
            id="folded scalar",
        ),
        pytest.param(
            "stages:\n  t:\n    cmd: |+\n      a\n\nz: 1\n",
            "stages:\n  t:\n    cmd: |+\n      a\n\n" + indented(BLOCK, 2) + "z: 1\n",
            id="kept newlines",
        ),
        pytest.param(
            "x: &x {cmd: a}\nstages:\n  t: *x  # c\n  # e\n",
            "x: &x {cmd: a}\nstages:\n  t: *x  # c\n  # e\n" + indented(BLOCK, 2),
            id="alias last",
        ),
        pytest.param(
            "stages: {t: {cmd: x},  # c\n }\n",
            'stages: {t: {cmd: x}, "new": {"cmd": "run ${item.x}", "deps": ["a", {"b": {"cache": false}}]},  # c\n }\n',
            id="flow",
        ),
        pytest.param(
            "---\nstages:\n  t: {cmd: x}\n...\n",
            "---\nstages:\n  t: {cmd: x}\n" + indented(BLOCK, 2) + "...\n",
            id="document markers",
        ),
    ],
)
def test_a_new_stage_goes_behind_the_others(before: str, after: str) -> None:
    assert put(before, ("stages", "new"), NEW, source="f") == after


def test_line_endings_are_kept() -> None:
    edited = put("stages:\r\n  t:\r\n    cmd: x\r\n", ("stages", "new"), NEW, source="f")
    assert edited == ("stages:\n  t:\n    cmd: x\n" + indented(BLOCK, 2)).replace("\n", "\r\n")


def test_replacing_touches_that_entry_only() -> None:
    before = "s:\n  new:\n    cmd: old  # c\n    deps: [a]\n  # after\n  b: {k: 'v'}  # d\n"
    assert put(before, ("s", "new"), NEW, source="f") == "s:\n" + indented(BLOCK, 2) + "  # after\n  b: {k: 'v'}  # d\n"
    assert put(before, ("s", "b", "k"), 2, source="f") == before.replace("'v'", "2")


def test_items_are_appended_and_replaced() -> None:
    before = "vars:\n- a\n# about z\nz: 1\n"
    assert put(before, ("vars", 1), "b", source="f") == "vars:\n- a\n- b\n# about z\nz: 1\n"
    assert put("vars: [a]\n", ("vars", 1), {"b": 1}, source="f") == 'vars: [a, {"b": 1}]\n'
    assert put("z: 1\n", ("vars", 0), "b", source="f") == "z: 1\nvars:\n  - b\n"
    assert (
        put("v:\n  - a  # k\n  - b: 1\n  - c\n", ("v", 1), {"b": 2}, source="f") == "v:\n  - a  # k\n  - b: 2\n  - c\n"
    )


def test_a_comment_goes_above() -> None:
    edited = put("s:\n  t: 1\n", ("s", "u"), 2, source="f", above=("", "why"))
    assert edited == "s:\n  t: 1\n\n  # why\n  u: 2\n"


@pytest.mark.parametrize("before", ["x: &s {t: 1}\nstages: *s\n", "stages: text\n", "- a\n", "a: 1\n...\n"])
def test_what_cannot_be_edited_safely_is_refused_with_its_line(before: str) -> None:
    with pytest.raises(UsageError, match=r"^f:\d+: ") as caught:
        put(before, ("stages", "new"), NEW, source="f")
    assert "cannot be put here" in caught.value.what


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("", id="empty"),
        pytest.param("stages:  # c\nz: 1\n", id="null"),
        pytest.param("stages: {}  # c\n", id="empty flow"),
        pytest.param("{stages: {t: {cmd: x}}, z: 1}\n", id="flow"),
        pytest.param("stages:\n    t:\n        cmd: x\n        # off\n\n# tail\nz: 1\n", id="comments"),
        pytest.param("base: &base {cmd: x}\r\nstages:\r\n  t:\r\n    <<: *base\r\n", id="merged"),
    ],
)
def test_several_are_put_there_as_one_after_the_other(before: str) -> None:
    values = {"new": NEW, "other": {"cmd": "x"}, "last": {"deps": []}}
    after, above = before, ("", "ours")
    for name, value in values.items():
        after, above = put(after, ("stages", name), value, source="f", above=above), ("",)
    assert put_each(before, ("stages",), values, source="f", above=("", "ours")) == after


words = st.text("abcdefgh #:-'\"{}[]*&!|>%@,?é\n", max_size=12)
names = st.text("abcdefgh", min_size=1, max_size=4)
scalars = st.one_of(words, st.integers(), st.booleans(), st.none())
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(names, trees, max_size=3).flatmap(
    lambda rest: st.dictionaries(names, trees, max_size=4).map(lambda stages: {**rest, "stages": stages})
)


@settings(deadline=None)
@given(
    documents,
    st.booleans() | st.none(),
    st.integers(2, 6),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["# c", "", "    # deep", "  # less"])), max_size=4),
)
def test_whatever_stands_there_stands_there_afterwards(data, flow, indent, newline, comments) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, indent=indent, width=40, sort_keys=False)
    lines = text.split("\n")
    for at, comment in comments:
        lines.insert(min(at, len(lines) - 1), comment)
    text = newline.join(lines)
    try:
        before = yaml.safe_load(text)
    except yaml.YAMLError:
        return  # the comment fell into a text
    if not isinstance(before, dict) or not isinstance(before.get("stages"), dict):
        return
    try:
        after = put(text, ("stages", "new-one"), NEW, source="f")
    except UsageError:
        return  # refusing is allowed, changing something else is not
    assert yaml.safe_load(after) == {**before, "stages": {**before["stages"], "new-one": NEW}}
    # only insertions: what was there is still there, in order (a bare `{}` gives way to a block)
    kept = iter(after)
    assert all(letter in kept for letter in text if letter not in "{}")
    assert put(after, ("stages", "new-one"), NEW, source="f") == after


@settings(deadline=None)
@given(documents, st.integers(2, 6))
def test_plain_block_style_is_never_refused(data, indent) -> None:
    text = yaml.safe_dump(data, default_flow_style=False, indent=indent, sort_keys=False)
    after = put(text, ("stages", "new-one"), NEW, source="f")
    assert yaml.safe_load(after)["stages"]["new-one"] == NEW
