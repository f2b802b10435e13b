"""The mark by which what we wrote is found again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight_base.forge.author import ours
from makeweight_base.forge.marker import identity, marker, same


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


def test_a_project_is_known_by_its_name_and_its_folder() -> None:
    assert identity("digits", "") == "digits"
    assert identity("digits", "models/a") == "digits in models/a"


_WORDS = st.lists(st.sampled_from(["a", "b", " in ", ".", "/", " ", "%20", "ä"]), min_size=1, max_size=6).map("".join)


_FOLDERS = _WORDS.map(lambda text: text.strip("/")).filter(lambda folder: folder != ".") | st.just("")


@given(_WORDS, _FOLDERS, _WORDS, _FOLDERS)
def test_no_name_reads_like_a_project_of_another_folder(one: str, here: str, other: str, there: str) -> None:
    assert (identity(one, here) == identity(other, there)) == ((one, here) == (other, there))


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
