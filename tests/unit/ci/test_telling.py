"""What is told of a decision, where, and how loudly: from a real ruling over a real makeweight.yaml."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from makeweight import publish
from makeweight.ci import gate, lines, telling
from makeweight.decide import Waiver
from makeweight.decide.verdict import Verdict
from makeweight.measurement import Measurement
from makeweight.report.content import Content
from makeweight_base.errors import Problem
from unit.ci.conftest import CONFIG, Made, base_of, figure

TODAY = date(2026, 6, 1)
TWO = ("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local}\n")


def measured(variant: str, size: float, latency: float, *devices: str) -> list[Measurement]:
    return [
        figure("nonfinite_outputs", 0.0, variant=variant, unit="fraction"),
        figure("size", size, variant=variant, comparison="ratio"),
        *(
            figure(
                "latency_p50", latency, variant=variant, device=name, interval=(latency, latency), comparison="ratio"
            )
            for name in devices
        ),
    ]


def decided(head: Any, base: Any, figures: list[Measurement], *waivers: Waiver, failed: Any = None) -> Verdict:
    ruled = gate.ruling(head, base, waivers, landed=False, today=TODAY)
    mine = publish.terms(head, ruled.rules, ruled.waivers)
    return gate.decided(mine, publish.terms(head), ruled, figures, failed or {}, ())


def lines_of(text: str) -> lines.Lines:
    return lines.of(text, "m/makeweight.yaml")


def row(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith(start))


def test_devices_and_variants_that_break_one_rule_share_its_line(made: Made) -> None:
    text = CONFIG.replace(*TWO)
    figures = [each for name in ("int8", "other") for each in measured(name, 0.4, 1.5, "local", "pi5")]
    found = telling.marks(decided(made(TWO), base_of(made(TWO)), figures), lines_of(text))
    (mark,) = [each for each in found if each.level == "failure"]
    assert (mark.path, mark.line) == ("m/makeweight.yaml", row(text, "latency_p50:"))
    assert mark.title == "latency_p50.max_ratio is broken"
    told = mark.message.splitlines()
    assert len(told) == 4
    assert {("int8" in line, "pi5" in line) for line in told} == {(a, b) for a in (True, False) for b in (True, False)}
    assert "`" not in mark.message


def test_a_rule_that_only_the_base_has_is_told_where_the_budget_begins(made: Made) -> None:
    removed = ("  size: {max_ratio: 0.5}\n", "")
    head, text = made(removed), CONFIG.replace(*removed)
    figures = [each for name in ("int8", "other") for each in measured(name, 0.9, 0.5, "local")]
    found = telling.marks(decided(head, base_of(made()), figures), lines_of(text))
    (mark,) = [each for each in found if each.level == "failure"]
    assert mark.line == row(text, "budget:")
    assert mark.title == "size.max_ratio is broken"


def test_a_recipe_that_failed_is_told_at_its_variant(made: Made) -> None:
    found = telling.marks(
        decided(made(), None, [], failed={"int8": "no memory", "other": "no float16"}), lines_of(CONFIG)
    )
    places = {mark.line: (mark.title, mark.message) for mark in found}
    for name, why in (("int8", "no memory"), ("other", "no float16")):
        title, message = places[row(CONFIG, f"{name}:")]
        assert title == "the recipe is broken"
        assert why in message


def test_no_name_turns_the_words_of_the_check_round(made: Made) -> None:
    """A group of examples, a class or a reason may be called anything, such as what turns the writing direction."""
    turned = "deppihs \N{RIGHT-TO-LEFT OVERRIDE}dessap"
    verdict = decided(made(), None, [], failed={"int8": turned, "other": f"{turned}\x1b[2K"})
    verdict = replace(verdict, sentence=f"{verdict.sentence} {turned}")
    said = [telling.title(verdict)]
    said += [text for mark in telling.marks(verdict, lines_of(CONFIG)) for text in (mark.title, mark.message)]
    assert sum("dessap" in each for each in said) == 3
    assert not any(mark in each for each in said for mark in "\N{RIGHT-TO-LEFT OVERRIDE}\x1b")


def test_what_is_waived_is_still_told_and_not_as_a_failure(made: Made) -> None:
    waiver = Waiver("size.max_ratio", None, "the shelf is full", date(2026, 12, 31), "label by @boss")
    figures = [each for name in ("int8", "other") for each in measured(name, 0.9, 0.5, "local")]
    verdict = decided(made(("max_ratio: 0.9, max_regression: 5 %", "max_ratio: 0.9")), None, figures, waiver)
    assert verdict.verdict == "pass"
    (mark,) = telling.marks(verdict, lines_of(CONFIG))
    assert (mark.level, mark.title) == ("notice", "size.max_ratio is waived")
    assert "label by @boss" in mark.message


def test_no_more_marks_than_are_shown_and_the_loudest_of_them(made: Made) -> None:
    many = "".join(f"  v{number}: {{steps: [float16]}}\n" for number in range(60))
    text = CONFIG.replace("  other: {steps: [float16]}\n", many)
    head = made(config=text)
    verdict = decided(head, None, measured("int8", 0.4, 1.5, "local"), failed={f"v{n}": "no" for n in range(60)})
    found = telling.marks(verdict, lines_of(text))
    assert len(found) == 50
    assert all(len(mark.message) <= 4000 for mark in found)
    levels = [mark.level for mark in found]
    assert levels == sorted(levels, key=("failure", "warning", "notice").index)


def test_the_title_is_one_short_line_without_markup(made: Made) -> None:
    names = "".join(f"  {'v' * 55}{number}: {{steps: [float16]}}\n" for number in range(9))
    head = made(config=CONFIG.replace("  other: {steps: [float16]}\n", names))
    title = telling.title(decided(head, None, [], failed=dict.fromkeys(head.variants, "no")))
    assert title.startswith("blocked: ")
    assert "`" not in title
    assert "\n" not in title
    assert len(title) <= 255


def outputs(verdict: Verdict) -> dict[str, str]:
    return telling.outputs(Content(verdict), "report.html", "verdict.json", "true")


def test_the_outputs_are_those_of_what_ships(made: Made) -> None:
    lax = ("max_ratio: 0.9, max_regression: 5 %", "max_ratio: 0.9")
    figures = measured("int8", 0.25, 0.5, "local", "pi5") + measured("other", 0.4, 0.8, "local", "pi5")
    slower = [m for m in figures if (m.variant, m.device, m.measurand.name) != ("int8", "pi5", "latency_p50_ratio")]
    slower.append(figure("latency_p50", 0.75, device="pi5", interval=(0.7, 0.8), comparison="ratio"))
    assert outputs(decided(made(TWO, lax), None, slower)) == {
        "verdict": "pass",
        "report-path": "report.html",
        "verdict-json": "verdict.json",
        "shipped-variant": "int8",
        "size-ratio": "0.25",
        "latency-ratio": "0.75",
        "comment-written": "true",
    }


def test_where_nothing_ships_or_is_known_the_outputs_are_empty(made: Made) -> None:
    found = outputs(decided(made(), None, []))
    assert (found["verdict"], found["shipped-variant"]) == ("inconclusive", "")
    assert (found["size-ratio"], found["latency-ratio"]) == ("", "")
    estimated = figure("size", 0.1, status="estimated", comparison="ratio")
    assert outputs(decided(made(), None, [estimated]))["size-ratio"] == ""


@pytest.mark.parametrize(
    ("source", "line", "marked"),
    [
        ("makeweight.yaml", 12, True),
        ("dvc.lock", 2, True),
        ("dvc.yaml", 3, True),
        ("dvc.yaml", None, False),
        ("dvc.lock of the base", 2, False),
        ("makeweight.yaml at abcdef1", 3, False),
        ("/etc/passwd", 1, False),
    ],
)
def test_a_problem_is_marked_where_it_stands_in_this_commit(source: str, line: int | None, marked: bool) -> None:
    marks = telling.problems([Problem(source, line, "odd", "quoted")], "p/")
    assert [(mark.path, mark.line, mark.message) for mark in marks] == [(f"p/{source}", line, "odd")] * marked
