"""Markdown cut to a length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight_base.forge.excerpt import cut, octets, units


@pytest.mark.parametrize(("text", "count"), [("", 0), ("aä", 2), ("\N{GRINNING FACE}", 2), ("\ud800", 1)])
def test_characters_are_counted_as_utf_16_does(text: str, count: int) -> None:
    assert units(text) == count == len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_what_fits_is_left_as_it_is() -> None:
    assert cut("one\ntwo", 7, "note") == "one\ntwo"


@pytest.mark.parametrize(
    ("most", "left"),
    [
        (40, "one\ntwo\nthree\n\nnote"),
        (18, "one\ntwo\n\nnote"),
        (12, "one\n\nnote"),
        (9, "one\n\nnote"),
        (8, "note"),
        (4, "note"),
        (3, ""),
        (0, ""),
        (-1, ""),
    ],
)
def test_whole_lines_and_the_note(most: int, left: str) -> None:
    assert cut("one\ntwo\nthree\n" + "x" * 50, most, "note") == left


@pytest.mark.parametrize(
    ("opened", "closing"),
    [
        ("```text\nx", "```\n"),
        ("~~~~\n~~~\nx", "~~~~\n"),
        ("```\nx\n```", ""),
        ("``` `a`\nx", ""),
        ("<details><summary>All</summary>\n\nx", "\n</details>"),
        ("<details>\n<DETAILS open>\n</details>\nx", "\n</details>"),
        ("<details>\n\n```\n</details>\nx", "```\n\n</details>"),
        ("</details>\nx", ""),
    ],
)
def test_what_is_open_is_closed(opened: str, closing: str) -> None:
    text = f"{opened}\n" + "y" * 500
    assert cut(text, 200, "note") == f"{opened}\n{closing}\nnote"


@given(
    st.lists(st.sampled_from(["```", "<details>", "</details>", "text", "ü\N{GRINNING FACE}", "", "~~~"]), max_size=60),
    st.integers(0, 200),
    st.sampled_from([units, octets, len]),
)
def test_it_is_never_longer_than_asked_for(lines: list[str], most: int, size: object) -> None:
    assert callable(size)
    text = "\n".join(lines)
    left = cut(text, most, "note", size)
    assert size(left) <= max(most, 0)
    assert left == text or left.endswith("note") or most < len("note")
