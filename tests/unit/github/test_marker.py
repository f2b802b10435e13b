"""The mark by which what we wrote is found again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.github.marker import marker, ours, same


def test_a_plain_name_can_be_read() -> None:
    assert marker("digits") == "<!-- makeweight:digits -->"


@given(st.text())
def test_a_mark_is_one_comment_whatever_the_name_holds(name: str) -> None:
    assert re.fullmatch(r"<!-- makeweight:[A-Za-z0-9%._~:]* -->", marker(name))
    assert len(marker(name)) < 250


@pytest.mark.parametrize("name", ["-->", "a--b", "--!>", "a\n<b>", "\ud800", "x" * 5000, "a/b", "ä"])
def test_hostile_names_keep_apart(name: str) -> None:
    assert "--" not in marker(name)[4:-3]
    assert marker(name) != marker(name + "x")
    assert marker(name) != marker("x" + name)


@given(st.text(), st.text())
def test_names_that_differ_have_marks_that_differ(one: str, other: str) -> None:
    assert (marker(one) == marker(other)) == (one == other)
    assert one == other or not marker(one).startswith(marker(other))


def test_it_takes_the_author_and_the_mark() -> None:
    mark = marker("digits")
    assert ours({"user": {"login": "us"}, "body": f"{mark}\nx"}, mark, "us")
    assert not ours({"user": {"login": "them"}, "body": f"{mark}\nx"}, mark, "us")
    assert not ours({"user": {"login": "us"}, "body": f"x {mark}"}, mark, "us")
    assert not ours({"user": None, "body": mark}, mark, "us")
    assert not ours({"user": {"login": "us"}, "body": None}, mark, "us")


@pytest.mark.parametrize(
    ("one", "other", "equal"), [("a\r\nb\n", "a\nb", True), ("a\nb", "a b", False), ("a", "b", False)]
)
def test_what_github_turns_in_storing_is_no_difference(one: str, other: str, equal: bool) -> None:
    assert same(one, other) is equal
