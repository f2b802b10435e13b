"""What a change alters of its own judgement stands first in every form of the report, side by side with the base."""

from __future__ import annotations

import html as entities
import re
from dataclasses import replace

import invented_content as invented
import pytest

from makeweight.ci import telling
from makeweight.decide import reviewed
from makeweight.decide.verdict import Alteration, Review
from makeweight.report import html, markdown, terminal
from makeweight.report.content import Content

LABEL = f"reviewed:{'a1' * 20}"
FEWER = Alteration("test examples", "500", "120, 380 fewer")
SEED = Alteration("`seed`", "0", "7")
MORE = Alteration("variant `third`", "none", "quantize method static", weakens=False)
ASKED = Review((FEWER, SEED, MORE), required=True, label=LABEL)


def content(review: Review, made: Content | None = None) -> Content:
    made = made or invented.content(devices=("pi5",))
    return replace(made, verdict=reviewed(made.verdict, review))


def test_the_list_stands_right_under_the_headline_and_before_the_notes() -> None:
    made = content(replace(ASKED, required=False))
    told = replace(made, verdict=replace(made.verdict, notices=["it comes from a fork"]))
    lines = markdown.render(told).split("\n")
    assert lines[0].startswith("### makeweight: passed. `slim-int8` ships")
    assert lines[2:9] == [
        "**This change alters 2 things that it is judged by.**",
        "",
        "|  | base | this change |",
        "|---|---|---|",
        "| test examples | 500 | 120, 380 fewer |",
        "| `seed` | 0 | 7 |",
        "",
    ]
    assert lines[9] == "> **Note.** It comes from a fork."
    below = markdown.render(told).partition("Also not what it is at the base (1)")
    assert "| variant `third` | none | quantize method static |" in below[2]
    assert "third" not in below[0]


def test_an_open_review_says_who_can_give_it_and_that_nothing_ships() -> None:
    made = content(ASKED)
    text = markdown.render(made)
    assert text.startswith("### makeweight: undecided. `slim-int8` waits for a review of what is judged\n")
    assert f"sets the label `{LABEL}`, then the job is run again" in text
    assert "**slim-int8** (ships once reviewed)" in text
    assert (
        "**What would pass.** `slim-int8` passes every rule: it ships as soon as what was altered is reviewed." in text
    )
    assert "ships, " not in terminal.render(made, 120)
    assert telling.CONCLUSIONS[made.verdict.verdict] == "action_required"
    title = telling.title(made.verdict)
    assert title.startswith("undecided: what is judged was altered and nobody has reviewed it: test examples 500 → 120")
    assert telling.outputs(made, "r", "v", "true")["shipped-variant"] == ""
    assert telling.outputs(made, "r", "v", "true")["size-ratio"] == "0.099"


def test_where_no_label_decides_a_waiver_is_asked_for() -> None:
    text = markdown.render(content(replace(ASKED, label="")))
    assert "an entry `rule: review` under `waivers:` on the base stands for it" in text
    assert "sets the label" not in text


def test_a_given_review_says_whose() -> None:
    made = content(replace(ASKED, by="label by @boss"))
    text = markdown.render(made)
    assert text.startswith("### makeweight: passed. `slim-int8` ships")
    assert "\nReviewed: label by <code>@</code>boss.\n" in text
    assert LABEL not in text


def test_a_rule_that_a_waiver_accepts_is_marked() -> None:
    looser = Alteration("`size.max`", "at most 1 MB", "at most 2 MB", accepted=True)
    made = content(Review((looser,), required=True, label=LABEL))
    assert "| `size.max` | at most 1 MB | at most 2 MB, **waived** |" in markdown.render(made)
    assert markdown.render(made).startswith("### makeweight: passed.")


@pytest.mark.parametrize("form", ["terminal", "page"])
def test_it_stands_before_all_figures_elsewhere_too(form: str) -> None:
    made = content(ASKED)
    text = terminal.render(made, 120) if form == "terminal" else visible(html.render(made))
    assert "This change alters 2 things that it is judged by" in text
    for what in ("test examples", "120, 380 fewer", LABEL):
        assert text.index(what) < text.index("98.7 %")
    if form == "terminal":
        assert "  test examples 500 → 120, 380 fewer\n" in text
        assert "third" not in text
    else:
        assert "Also not what it is at the base" in text


def visible(page: str) -> str:
    text = re.sub(r"<[^>]*>", " ", page.partition("</style>")[2])
    return re.sub(r"\s+", " ", entities.unescape(text).replace("\N{NO-BREAK SPACE}", " "))


def test_nothing_of_it_where_nothing_was_altered() -> None:
    for text in (
        markdown.render(invented.content()),
        terminal.render(invented.content()),
        html.render(invented.content()),
    ):
        assert "alters" not in text
        assert "Also not what it is" not in text


def test_names_stay_names() -> None:
    evil = "<img src=x>|`@everyone` https://evil.example"
    made = content(Review((Alteration(f"source `{evil.replace('`', chr(39))}`", evil, evil), replace(MORE, was=evil))))
    for text in (markdown.render(made), html.render(made)):
        assert "<img src=x>" not in text
    for line in markdown.render(made).split("\n"):
        if "evil" in line:
            assert len(re.findall(r"(?<!\\)\|", line)) == 4
