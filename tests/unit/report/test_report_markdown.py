from __future__ import annotations

import re
from dataclasses import replace

import invented_content as invented
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from makeweight.decide.verdict import RuleVerdict
from makeweight.measurement import Cause
from makeweight.report import markdown
from makeweight.report.content import Content, Flip, Flips
from makeweight.report.fitting import Limit

pytestmark = pytest.mark.long

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ALL = {
    "three": invented.content(),
    "twelve": invented.many(),
    "hostile": invented.hostile(),
    "regression": invented.regression(),
    "undecided": invented.undecided(),
    "no device": invented.content(devices=()),
    "waived": invented.waived(),
    "verdict alone": invented.compared(),
}


def test_it_leads_with_the_verdict():
    first = markdown.render(invented.content(devices=("pi5",))).split("\n")[0]
    assert first == "### makeweight: passed. `slim-int8` ships: 10x smaller, 5.3x faster on pi5, accuracy drop 0.5 pt"


def test_a_broken_budget_names_the_rule_why_and_what_would_pass():
    lines = markdown.render(invented.undecided(4)).split("\n")
    assert lines[0] == "### makeweight: blocked. `slim-int8` breaks 1 of 5 rules and leaves 1 open"
    assert "| **accuracy** | 98.7 % | 97.8 % | **drop 0.9 pt [0.5, 1.3]** | drop at most 0.5 pt | **over** |" in lines
    assert "- Accuracy drops 0.9 pt [0.5, 1.3], and drop at most 0.5 pt is allowed." in lines
    assert "**What would settle it.** `makeweight benchmark slim-int8 --device laptop --seconds 30`" in lines
    would = next(line for line in lines if line.startswith("**What would pass.**"))
    assert would.startswith("**What would pass.** `int8` passes every rule (3.8x smaller, 2.4x faster on laptop")


def test_a_drop_just_over_its_limit_does_not_read_like_it():
    made = invented.content((invented.Model("int8", 0.263, 0.0052, broken={"accuracy.max_drop": "x"}),), ship=None)
    row = next(line for line in markdown.render(made).split("\n") if line.startswith("| **accuracy**"))
    assert "| **drop 0.52 pt [0.1, 0.9]** | drop at most 0.5 pt | **over** |" in row


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
    for tag in ("<script", "<img", "<i>", "<b>", "onerror=1>"):
        assert tag not in shown
    assert shown.count("<a ") == len(ALL[name].links)
    assert shown.count("<details>") == shown.count("</details>")


def test_a_chart_that_github_draws():
    shown = markdown.render(invented.content())
    chart = shown.partition("```mermaid\n")[2].partition("```")[0]
    assert chart.startswith("quadrantChart\n    title accuracy against latency p50 on laptop\n")
    assert '"slim-int8": [0.080, 0.080]' in chart


def test_a_time_of_a_run_in_which_the_machine_was_faster_has_the_baselines_beside_it():
    even, shown = markdown.render(invented.content(devices=("laptop",))), markdown.render(invented.uneven())
    assert "| 43.9 us from 207 us<br>4.7x faster" in shown
    assert "from: the baseline's figure" in shown
    assert "from: " not in even
    charts = [text.partition("```mermaid\n")[2].partition("```")[0] for text in (even, shown)]
    assert charts[0] == charts[1], "models are drawn by their ratios to one baseline"
    assert '"87.9 us"' in charts[0], "0.213 x 412.5 us, the median of the baselines"


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
    assert len(shown.encode("utf-16-le")) // 2 <= markdown.COMMENT.size
    assert shown.startswith("### makeweight: passed.")
    assert shown.count("<details>") == shown.count("</details>")


def test_what_is_left_out_is_named():
    made = invented.many(400, devices=(), flips=0)
    shown = markdown.render(made)
    assert len(shown) <= markdown.COMMENT.size
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


def test_what_is_waived_comes_right_under_the_headline_and_bears_a_mark():
    lines = markdown.render(invented.waived()).split("\n")
    assert lines[0].startswith("### makeweight: passed. `slim-int8` ships with 1 of 5 rules waived: 10x smaller")
    assert lines[2] == (
        "**Waived.** Accuracy drops 0.9 pt, and 0.5 pt is allowed. "
        "Waived until 2026-12-31 (label by <code>@</code>somebody): better data are on their way."
    )
    row = next(line for line in lines if line.startswith("| **accuracy**"))
    assert row.endswith("| drop at most 0.5 pt | over, **waived** |")
    rule = next(line for line in lines if line.startswith("| slim-int8 | accuracy.max_drop"))
    assert "| **fail (waived)** |" in rule
    assert "Waived until 2026-12-31" in rule


def test_notices_come_before_all_else():
    made = invented.waived()
    notices = ["this pull request loosens the budget: `size.max` removed.", "it comes from a fork"]
    lines = markdown.render(replace(made, verdict=replace(made.verdict, notices=notices))).split("\n")
    assert lines[2:5] == [
        "> **Note.** This pull request loosens the budget: `size.max` removed.",
        ">",
        "> **Note.** It comes from a fork.",
    ]
    assert lines[6].startswith("**Waived.**")


def test_growth_is_told_against_the_merge_base():
    def row(made: Content) -> str:
        return next(line for line in markdown.render(made).split("\n") if "regression at most 5 %" in line)

    assert row(invented.compared()) == (
        "| latency p50 on pi5 | 8.12 ms | 1.51 ms | +0.4 % [-0.3, +1.1] since the merge base "
        "| regression at most 5 % | ok |"
    )
    assert "| unchanged since the merge base |" in row(invented.compared(0.0, 0.0, 0.0))
    assert "| +5.04 % [+3.0, +7.0] since the merge base |" in row(invented.compared(0.0504, 0.03, 0.07))
    made = invented.compared()
    lost = [
        {**entry, "value": None, "interval": None, "status": "unavailable", "reason": "no base artifact"}
        if (entry["metric"], entry["comparison"]) == ("latency_p50", "regression")
        else entry
        for entry in made.verdict.measurements
    ]
    assert "| 1.51 ms | not measured: no base artifact |" in row(
        replace(made, verdict=replace(made.verdict, measurements=lost))
    )


def test_a_verdict_alone_still_has_its_figures_and_small_print():
    shown = markdown.render(invented.compared())
    assert "| size | 1.92 MB | 190 kB | 10x smaller | at most 1 MB | ok |" in shown
    assert shown.rstrip().split("\n")[-1] == (
        "<sub>makeweight 0.1.0 · commit 1a2b3c4 against main 5d6e7f8 · 2 benchmarks skipped: artifacts unchanged "
        "· [run](https://github.com/acme/digits/actions/runs/1?a=b&c=d)</sub>"
    )


def test_beside_a_class_that_fell_no_figure_of_another_one_stands():
    """The figures of all classes are not at hand, and those of the least accurate ones are."""
    made = replace(invented.content((invented.Model("int8", 0.263, 0.01),), ship=None), classes={})
    name = "worst_class_accuracy"

    def rendered(base: str, own: str, fell: str) -> str:
        of = {("baseline", None): base, ("int8", None): own, ("int8", "drop"): fell}
        kept = [
            {**each, "detail": of[each["variant"], each["comparison"]]} if each["metric"] == name else each
            for each in made.verdict.measurements
        ]
        shown = markdown.render(replace(made, verdict=replace(made.verdict, measurements=kept)))
        (row,) = [line for line in shown.split("\n") if line.startswith("| class that fell most")]
        return row.partition(" | drop ")[0]

    assert rendered("8", "8", "8") == "| class that fell most (8) | 94.7 % | 93.7 %"
    assert rendered("3", "8", "8") == "| class that fell most (8) | – | 93.7 %"
    assert rendered("3", "3", "8") == "| class that fell most (8) | – | –"


def test_what_is_absent_for_one_reason_is_told_once():
    absent = {
        "size.max": "size is not measured: a fork has no data; the rule requires it.",
        "accuracy.max_drop": "accuracy is not measured: a fork has no data; the rule requires it.",
    }
    made = invented.content((invented.Model("int8", 1, 0, undecided=absent),), ship=None, devices=())
    shown = markdown.render(_lacking(made, "a fork has no data"))
    assert "**Why.** Size and accuracy are not measured: a fork has no data.\n" in shown
    assert "not measured: a fork has no data" not in shown.split("**Why.**")[0]
    assert "**What would pass.** That is not known: what is open could not be measured here." in shown


def test_what_only_a_machine_that_is_away_would_tell_names_the_machine():
    said = {f"latency_p50.max_ratio@{name}": f"latency p50 on {name} is not measured: away." for name in ("pi5", "pi4")}
    made = invented.content((invented.Model("int8", 1, 0, undecided=said),), ship=None, devices=("pi5", "pi4"))
    shown = markdown.render(_lacking(made, "away", "unreachable"))
    assert "**Why.** Latency p50 on pi5 and latency p50 on pi4 are not measured: away.\n" in shown
    assert "could not be measured here. Run it again when `pi5` and `pi4` can be reached.\n" in shown
    assert "could not be measured here.\n" in markdown.render(_lacking(made, "no meter"))


def _lacking(made: Content, reason: str, cause: Cause | None = None) -> Content:
    """The same verdict with what it leaves open not measured at all, for one reason."""
    rules = [
        replace(rule, value=None, settle=None, reason=reason, cause=cause) if rule.settle else rule
        for rule in made.verdict.rules
    ]
    return replace(made, verdict=replace(made.verdict, rules=rules, verdict="inconclusive"))


def test_what_holds_a_variant_up_stands_first():
    shown = markdown.render(invented.undecided(4)).split("\n")
    rules = [line for line in shown[: shown.index("**Why.**")] if line.startswith("| ") and "budget" not in line]
    marks = [line.split(" | ")[-1].removesuffix(" |") for line in rules]
    assert marks[:2] == ["**over**", "**undecided**"]
    assert set(marks[2:]) == {"ok", "undecided (only warns)"}


def test_a_figure_below_what_is_required_is_not_over():
    made = invented.undecided(4)
    rules = [
        replace(rule, operator="min", rule="accuracy.min", limit_text="at least 99 %")
        if rule.rule == "accuracy.max_drop" and rule.verdict == "fail"
        else rule
        for rule in made.verdict.rules
    ]
    assert "| at least 99 % | **under** |" in markdown.render(replace(made, verdict=replace(made.verdict, rules=rules)))


def test_figures_that_were_all_taken_over_are_told_in_few_lines():
    made = invented.compared()
    taken = replace(made.verdict, provenance={**made.verdict.provenance, "measured_at": "5d6e7f8" + "0" * 33})
    shown = markdown.render(replace(made, verdict=taken))
    assert "\n\nNothing that makes a model changed: all figures are those of `5d6e7f8`.\n" in shown
    assert shown.count("<details>") == 1
    assert "| size | 1.92 MB | 190 kB | 10x smaller | at most 1 MB | ok |" in shown.split("<details>")[1]
    broken = markdown.render(replace(made, verdict=replace(taken, verdict="fail", ship=None)))
    assert broken.index("| size |") < broken.index("<details>")


@pytest.mark.parametrize("limit", [markdown.COMMENT, markdown.CHECK, markdown.SUMMARY])
def test_each_place_has_a_limit_of_its_own(limit: Limit):
    made = invented.many(60, devices=("laptop",), flips=0)
    rules = [replace(rule, sentence="字" * 5000) for rule in made.verdict.rules]
    long = replace(made, verdict=replace(made.verdict, rules=rules, notices=["字" * 5000] * 40))
    shown = markdown.render(long, limit)
    assert limit.measure(shown) <= limit.size
    assert limit.measure(shown) > limit.size / 2


def test_lengths_are_counted_as_they_are_there():
    assert markdown.COMMENT.measure("a字😀") == 4
    assert markdown.SUMMARY.measure("a字😀") == markdown.CHECK.measure("a字😀") == 8


_HOSTILE = st.text(
    st.sampled_from(list("`*_|<>&[]()!#@$~\\\n\r ab1.:/-='\"{}%\u2028\u202e"))
    | st.characters(codec="utf-8", exclude_categories=("Cs",)),
    max_size=60,
) | st.sampled_from(
    [
        "--> <img src=x onerror=alert(1)>",
        "](https://evil.example) @team/security",
        "</details></sub></code><script>alert(1)</script>",
        "```\n# heading\n```",
        "x\n\n| a | b |\n|---|---|",
        "> [!CAUTION]\n> not ours",
        "![](https://evil.example/pixel.png) https://evil.example WWW.evil.example",
        "`unclosed <b>` and ``` more",
    ]
)


@given(_HOSTILE, _HOSTILE, _HOSTILE, _HOSTILE)
def test_nothing_that_others_write_gets_out(reason: str, notice: str, label: str, remark: str):
    written = markdown.render(_marked(reason, notice, label, remark))
    skeleton = GITHUB.render(written)
    assert {tag: skeleton.count(tag) for tag in _BONES} == _BONES
    for tag in ("<img", "<script", "<b>", "<em", "<hr", "<!--"):
        assert tag not in skeleton
    assert skeleton.count("<a ") == 1
    # outside of code, GitHub looks for mentions in the page and for bare addresses in the text
    assert "@" not in re.sub(r"<code>.*?</code>|<pre>.*?</pre>", "", skeleton, flags=re.DOTALL)
    text = re.sub(r"```.*?```|`[^`]*`|\]\(https://github.com/acme\)", "", written, flags=re.DOTALL).lower()
    assert "://" not in text
    assert "www." not in text


@given(_HOSTILE)
def test_no_address_changes_what_stands_around_it(address: str):
    made = replace(invented.compared(), links={"run": f"https://github.com/{address}"})
    shown = GITHUB.render(markdown.render(made))
    assert shown.count("<sub>") == shown.count("</sub>") == 1
    assert shown.count("<a ") == 1
    assert shown.rstrip().endswith(">run</a></sub></p>")


def _marked(reason: str, notice: str, label: str, remark: str) -> Content:
    made = invented.waived()
    rules = [
        replace(rule, waiver=f"waived until 2026-12-31 (label by @x): {reason}", sentence=f"it is {reason}")
        if rule.waiver is not None
        else rule
        for rule in made.verdict.rules
    ]
    return Content(
        replace(made.verdict, rules=rules, notices=[f"loosened: {notice}"], project=reason),
        remarks=(f"skipped {remark}",),
        links={f"to {label}": "https://github.com/acme"},
    )


_TAGS = ("<p>", "<tr>", "<td", "<h1>", "<h3>", "<blockquote>", "<ul>", "<details>", "</details>", "<sub>", "</sub>")
_PLAIN = GITHUB.render(markdown.render(_marked("reason", "notice", "run", "remark")))
_BONES = {tag: _PLAIN.count(tag) for tag in _TAGS}
