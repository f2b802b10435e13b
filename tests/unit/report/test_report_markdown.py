from __future__ import annotations

from dataclasses import replace

import invented_content as invented
import pytest
from markdown_it import MarkdownIt

from makeweight.report import markdown
from makeweight.report.content import Flip, Flips
from makeweight.verdict import RuleVerdict

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ALL = {
    "three": invented.content(),
    "twelve": invented.many(),
    "hostile": invented.hostile(),
    "regression": invented.regression(),
    "undecided": invented.undecided(),
    "no device": invented.content(devices=()),
}


def test_it_leads_with_the_verdict():
    first = markdown.render(invented.content(devices=("pi5",))).split("\n")[0]
    assert first == "### makeweight: passed. `slim-int8` ships: 10x smaller, 5.3x faster on pi5, accuracy -0.5 pt"


def test_a_broken_budget_names_the_rule_why_and_what_would_pass():
    lines = markdown.render(invented.undecided(4)).split("\n")
    assert lines[0] == "### makeweight: blocked. `slim-int8` breaks 1 of 5 rules and leaves 1 open"
    assert "| **accuracy** | 98.7 % | 97.8 % | **-0.9 pt [-1.3, -0.5]** | drop at most 0.5 pt | **over** |" in lines
    assert "- Accuracy drops 0.9 pt [0.5, 1.3], and drop at most 0.5 pt is allowed." in lines
    assert "**What would settle it.** `makeweight benchmark slim-int8 --device laptop --seconds 30`" in lines
    would = next(line for line in lines if line.startswith("**What would pass.**"))
    assert would.startswith("**What would pass.** `int8` passes every rule (3.8x smaller, 2.4x faster on laptop")


def test_what_was_not_measured_says_why():
    shown = markdown.render(invented.content())
    assert (
        "| energy on laptop | – | not measured: no meter on laptop |  | at most 12 mJ | undecided (only warns) |"
        in shown
    )


def test_the_usual_confusion_is_told():
    made = invented.undecided(0)
    flips = Flips(3, tuple(Flip(i, "cat", "cat", "dog" if i else "cow", 0.9) for i in range(3)))
    shown = markdown.render(replace(made, flips={"slim-int8": flips}))
    assert "2 of the 3 flipped examples are `cat` taken for `dog`." in shown


@pytest.mark.parametrize("name", ALL)
def test_tables_keep_their_columns_and_nothing_gets_out(name: str):
    shown = GITHUB.render(markdown.render(ALL[name]))
    for table in shown.split("<table>")[1:]:
        body = table.partition("</table>")[0]
        widths = {row.count("<td") + row.count("<th>") + row.count("<th ") for row in body.split("<tr>")[1:]}
        assert len(widths) == 1
    for tag in ("<script", "<img", "<i>", "<b>", "<a ", "onerror=1>"):
        assert tag not in shown
    assert shown.count("<details>") == shown.count("</details>")


def test_a_chart_that_github_draws():
    shown = markdown.render(invented.content())
    chart = shown.partition("```mermaid\n")[2].partition("```")[0]
    assert chart.startswith("quadrantChart\n    title accuracy against latency p50 on laptop\n")
    assert '"slim-int8": [0.080, 0.080]' in chart


def test_no_chart_of_a_single_point():
    made = invented.content(devices=())
    kept = [entry for entry in made.verdict.measurements if entry["variant"] == "baseline"]
    assert "```mermaid" not in markdown.render(replace(made, verdict=replace(made.verdict, measurements=kept)))


@pytest.mark.parametrize("variants", [12, 120])
@pytest.mark.parametrize("letter", ["x", "@", "字", "😀"])
def test_never_longer_than_a_comment_may_be(variants: int, letter: str):
    made = invented.many(variants, devices=("laptop",), flips=0)
    verdict = made.verdict

    def long(rule: RuleVerdict) -> RuleVerdict:
        return replace(rule, sentence=letter * 2000, settle=letter * 500, limit_text=letter * 300)

    shown = markdown.render(replace(made, verdict=replace(verdict, rules=[long(rule) for rule in verdict.rules])))
    assert len(shown.encode("utf-16-le")) // 2 <= markdown.LIMIT
    assert shown.startswith("### makeweight: passed.")
    assert shown.count("<details>") == shown.count("</details>")


def test_what_is_left_out_is_named():
    made = invented.many(400, devices=(), flips=0)
    shown = markdown.render(made)
    assert len(shown) <= markdown.LIMIT
    assert "more in report.html.*" in shown or "Left out for length" in shown


def test_one_page_of_facts_is_not_cut():
    shown = markdown.render(invented.content())
    assert "more in report.html" not in shown
    assert "Left out" not in shown


def test_no_variant_at_all():
    made = invented.content()
    empty = replace(made.verdict, variants=[], rules=[], measurements=[], ship=None, verdict="not_applicable")
    assert markdown.render(replace(made, verdict=empty)).startswith(
        "### makeweight: nothing to decide. No variant is declared"
    )
