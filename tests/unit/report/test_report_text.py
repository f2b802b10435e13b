from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from makeweight.report.prose import sentence
from makeweight.report.text import (
    address,
    elided,
    html_prose,
    markdown,
    markdown_code,
    markdown_link,
    markdown_prose,
    plain,
)

GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _words(html: str) -> str:
    """The text of rendered HTML."""
    from html.parser import HTMLParser

    found: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(data)

    Reader().feed(html)
    return " ".join("".join(found).split())


def test_plain_removes_what_moves_the_cursor_or_turns_the_line():
    assert plain("a\x1b[31mb\nc\t\u202edtxt\u2028e") == "a [31mb c dtxt e"


def test_plain_keeps_figures_and_units_together():
    assert plain("98.3\N{NO-BREAK SPACE}%") == "98.3\N{NO-BREAK SPACE}%"


@given(st.text())
def test_markdown_reads_as_it_stands(text: str):
    shown = GITHUB.render(f"x {markdown(text)} x")
    assert _words(shown) == " ".join(f"x {plain(text)} x".split())


@given(st.text())
def test_markdown_at_the_start_of_a_line_is_a_paragraph(text: str):
    shown = GITHUB.render(markdown(text) or "empty")
    assert shown.startswith("<p>")


@given(st.text(), st.text())
def test_a_cell_stays_a_cell(left: str, right: str):
    table = f"| a | b |\n|---|---|\n| {markdown(left)} | {markdown_code(right)} |\n"
    shown = GITHUB.render(table)
    assert shown.count("<td>") + shown.count("<td ") == 2
    assert shown.count("<tr>") == 2


@given(st.text(alphabet="`<>&|*_[]()!#@$~\\ab 1.-:/\"'", max_size=40))
def test_no_markup_comes_of_text(text: str):
    shown = GITHUB.render(f"| a |\n|---|\n| {markdown(text)} |")
    for tag in ("<em", "<strong", "<a ", "<img", "<script", "<s>", "<del"):
        assert tag not in shown


def test_mentions_and_mathematics_are_broken():
    shown = markdown("@somebody pays $5 or $6")
    assert "@somebody" not in shown
    assert "$5" not in shown


def test_underscores_within_names_stay():
    assert markdown("worst_class_accuracy _x_") == "worst_class_accuracy &#95;x&#95;"


def test_code_uses_backticks_only_where_they_hold():
    assert markdown_code("slim-int8") == "`slim-int8`"
    assert markdown_code("a`|<b>") == "<code>a&#96;&#124;&lt;b&gt;</code>"


def test_prose_sets_names_in_code():
    assert markdown_prose("`int8` is <b> & `a|b`") == "`int8` is &lt;b&gt; &amp; <code>a&#124;b</code>"
    assert html_prose("`<i>` is <b>") == "<code>&lt;i&gt;</code> is &lt;b&gt;"


@given(st.text())
def test_html_prose_holds_no_element_but_code(text: str):
    shown = html_prose(text).replace("<code>", "").replace("</code>", "")
    assert "<" not in shown
    assert ">" not in shown


@given(st.text(), st.integers(3, 40))
def test_elided_is_short_and_keeps_both_ends(text: str, most: int):
    shown, line = elided(text, most), plain(text)
    assert len(shown) <= max(most, 0)
    if len(line) > most:
        assert line.startswith(shown.partition("…")[0])
        assert line.endswith(shown.rpartition("…")[2])


def test_a_link_holds_its_label_whatever_it_is():
    assert markdown_link("run", "https://github.com/a/b") == "[run](https://github.com/a/b)"
    assert markdown_link("![x](y)]", "https://a.b") == "[!&#91;x&#93;(y)&#93;](https://a.b)"
    assert markdown_link("run", "javascript:alert(1)") == "run"


def test_an_address_keeps_what_it_means_and_loses_what_ends_it():
    assert address("https://a.b/c?d=e%20f&g#h") == "https://a.b/c?d=e%20f&g#h"
    assert address("https://a.b/(c) <d>\"e'\n[f]\\`|*") == "https://a.b/%28c%29%20%3Cd%3E%22e%27%0A%5Bf%5D%5C%60%7C%2A"
    for no in (
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.b",
        "a.b",
        "",
        "https://",
        "https://[::1",
        "file:///etc",
    ):
        assert address(no) is None


def test_bare_addresses_stay_text():
    assert markdown("see https://a.b and WWW.c.d") == "see https&#58;//a.b and WWW&#46;c.d"
    assert markdown_code("https://a.b`|") == "<code>https&#58;//a.b&#96;&#124;</code>"
    assert markdown_code("https://a.b") == "`https://a.b`"


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        ("size is 2 kB", "Size is 2 kB"),
        ("mAP drops 2 pt", "mAP drops 2 pt"),
        ("mIoU is low", "mIoU is low"),
        ("`Slim` fails", "`Slim` fails"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_unless_its_first_word_has_its_own(said: str, begins: str) -> None:
    assert sentence(said) == begins
