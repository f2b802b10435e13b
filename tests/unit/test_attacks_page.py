"""docs/attacks.md is written from the tests that make the attacks, and only from those."""

from __future__ import annotations

import pytest

from attacks_page import PAGE, attacks, page

MODULE = """
@attack("a budget is loosened", "the base's decides")
def test_loose(hub):
    pass


def test_unmarked(hub):
    pass
"""


def test_a_marked_test_is_a_line_and_an_unmarked_one_is_none() -> None:
    assert attacks(MODULE, "here.py") == [("a budget is loosened", "the base's decides", "test_loose")]


def test_a_mark_that_cannot_be_a_line_is_refused_where_it_stands() -> None:
    with pytest.raises(ValueError, match=r"here\.py:2"):
        attacks(MODULE.replace(', "the base\'s decides"', ""), "here.py")


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python tests/attacks_page.py`"
