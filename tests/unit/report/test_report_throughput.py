"""Throughput over a matrix, in each form of the report: a sentence, tables, and lines on the page."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, replace
from html import unescape
from typing import Any

import invented_content
import pytest

from makeweight.measurement import Measurement, unavailable
from makeweight.report import card, html, markdown, terminal, throughput
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.plots import throughput as plot

SHAPE = ((1, 1.0), (8, 2.5), (32, 3.0))
LACKING = "a batch of 128 takes about 9 s, too long for the time given"


def measured(
    gain: float = 2.0,
    threads: tuple[int, ...] = (1, 2),
    shape: tuple[tuple[int, float], ...] = SHAPE,
    variant: str = "slim-int8",
    spread: float = 0.02,
) -> list[Measurement]:
    """The baseline does 1000 a second one at a time on one thread, the variant `gain` times as many; two threads make
    1.5 times as many, and for the baseline they are best in batches of 8."""
    found = []
    for count in threads:
        for batch, more in shape:
            rate = 1000 * more * (1.5 if count == 2 else 1.0)
            base = rate * (0.7 if (batch, count) == (32, 2) else 1.0)
            cell: dict[str, Any] = {"batch": batch, "threads": count, "device": "laptop", "noise_floor": 0.012}
            for name, value, against in ((variant, rate * gain, None), ("baseline", base, variant)):
                ends = value * (1 - spread), value * (1 + spread)
                found.append(Measurement("throughput", name, "1/s", value, ends, 60, against=against, **cell))
            ratio = rate * gain / base
            ends = ratio * (1 - spread / 2), ratio * (1 + spread / 2)
            found.append(
                Measurement(
                    "throughput", variant, "ratio", ratio, ends, 60, against="baseline", comparison="ratio", **cell
                )
            )
    return found


def content(*figures: Measurement) -> Content:
    made = invented_content.content()
    records = tuple({k: v for k, v in asdict(m).items() if v is not None and v is not False} for m in figures)
    return replace(made, verdict=replace(made.verdict, measurements=(*made.verdict.measurements, *records)))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>|[`*]", "", unescape(page))).replace("\N{NO-BREAK SPACE}", " ")


FORMS: dict[str, Callable[[Content], str]] = {
    "terminal": terminal.render, "markdown": markdown.render, "html": html.render
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_it_is_said_where_the_variant_does_most_and_how_that_stands_to_the_baselines_best(form: str) -> None:
    """4500 x 2 of batches of 32 on two threads, to 3750 of batches of 8: 2.4 times, give or take 2 % of both."""
    said = (
        "slim-int8 on laptop does most in batches of 32 on 2 threads: 9,000 /s, 2.4x more than the baseline's best "
        "[2.3, 2.5] (3,750 /s in batches of 8 on 2 threads)."
    )
    assert said in text_of(FORMS[form](content(*measured())))


def said_of(figures: list[Measurement]) -> str:
    (said,) = throughput.sentences(made := content(*figures), Figures(made))
    return said


def test_in_one_cell_the_two_are_compared_pair_by_pair() -> None:
    said = said_of(measured(threads=(1,)))
    assert said.endswith("6,000 /s, 2.0x more than the baseline's best [1.98, 2.02] (3,000 /s there).")


def test_what_the_intervals_or_the_noise_do_not_tell_apart_is_not_claimed() -> None:
    not_apart = "not told apart from the baseline's best (3,000 /s there)."
    assert said_of(measured(1.005, threads=(1,))).endswith(not_apart)
    assert said_of(measured(1.009, threads=(1,), spread=0.0)).endswith(not_apart), "the noise floor is 1.2 %"
    assert "1.03x more than" in said_of(measured(1.03, threads=(1,), spread=0.001))


def test_a_variant_that_does_less_is_told_so() -> None:
    assert "1,500 /s, 2.0x less than the baseline's best" in said_of(measured(0.5, threads=(1,)))


def test_what_only_the_variant_has_stands_alone() -> None:
    alone = [each for each in measured(threads=(1,)) if each.variant != "baseline" and each.comparison is None]
    assert said_of(alone).endswith("in batches of 32 on 1 thread: 6,000 /s.")


def test_the_tables_have_a_row_for_each_number_of_threads() -> None:
    made = content(*measured(), *measured(1.5, variant="int8"))
    listed = terminal.render(made).splitlines()
    start = next(place for place, line in enumerate(listed) if "throughput on laptop" in line)
    assert listed[start].split()[-6:] == ["batch", "1", "batch", "8", "batch", "32"]
    shown = [re.sub(" +", " ", line).strip() for line in listed[start + 1 : start + 5]]
    assert shown == [
        "baseline 1 1,000 /s 2,500 /s 3,000 /s",
        "baseline 2 1,500 /s 3,750 /s 3,150 /s",
        "slim-int8 1 2,000 /s 2.0x 5,000 /s 2.0x 6,000 /s 2.0x",
        "slim-int8 2 3,000 /s 2.0x 7,500 /s 2.0x 9,000 /s 2.9x",
    ]
    comment = markdown.render(made)
    table = comment[comment.index("Throughput over batch sizes") :]
    assert "| int8 | 1 | 1,500 /s<br>1.50x more [" in table
    assert comment.count("<details>") == comment.count("</details>")


def test_the_baseline_of_a_table_is_that_of_all_variants_and_that_of_a_chart_the_one_beside_it() -> None:
    slower = [
        replace(each, value=(each.value or 0) / 2, interval=None) if each.variant == "baseline" else each
        for each in measured(variant="int8")
    ]
    page = text_of(html.render(content(*measured(), *slower)))
    assert "baseline, batches of 1 on 1 thread: 1,000 /s" in page
    assert "baseline, batches of 1 on 1 thread: 500 /s" in page


def test_what_was_not_measured_is_told_once_with_its_reason() -> None:
    holes = [
        unavailable(replace(each.measurand, batch=128), each.variant, each.unit, LACKING, device="laptop")
        for each in measured(shape=SHAPE[:1])
        if each.variant != "baseline"
    ]
    made = content(*measured(), *holes)
    assert dict(Figures(made).unavailable())[LACKING] == [
        "throughput in 2 cells (batches of 128) on laptop of slim-int8"
    ]
    for form in FORMS.values():
        assert text_of(form(made)).count(LACKING) == 1
        assert "not measured" in text_of(form(made))
    assert LACKING not in card.render(made, "slim-int8")


def test_without_a_figure_nothing_is_said_but_why() -> None:
    holes = [each.absent(LACKING) for each in measured() if each.variant != "baseline"]
    made = content(*holes)
    assert throughput.sentences(made, Figures(made)) == []
    for name, form in FORMS.items():
        text = text_of(form(made))
        assert "does most" not in text
        assert ("throughput on" in text) is False, name
    assert "throughput in 6 cells (batches of 1, 8, 32) on laptop of slim-int8" in text_of(html.render(made))


@pytest.mark.parametrize("form", FORMS)
def test_without_a_matrix_nothing_is_said_of_one(form: str) -> None:
    assert "batches of" not in FORMS[form](invented_content.content())


def test_many_batch_sizes_fold_into_tables_that_fit() -> None:
    many = measured(shape=tuple((2**i, 1.0 + i) for i in range(8)))
    for width in (60, 80, 120):
        shown = terminal.render(content(*many), width)
        assert max(map(len, shown.splitlines())) <= width
        assert all(f"batch {2**i}" in shown for i in range(8))


# The chart


def drawn(*panels: plot.Panel) -> ET.Element:
    made = plot.draw(panels, "examples per second", "batch size", "threads", str, str)
    return ET.fromstring(made)  # noqa: S314 - what we drew ourselves


def line(label: str, *values: float) -> plot.Line:
    at = (1, 8, 32, 128)
    return plot.Line(label, [plot.Point(at[i], value, None, f"{value}", best=False) for i, value in enumerate(values)])


def paths(picture: ET.Element, kind: str) -> list[list[tuple[float, float]]]:
    found = [each.get("d", "") for each in picture.iter("path") if (each.get("class") or "").split()[:1] == [kind]]
    return [[(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", each)] for each in found]


def test_a_panel_a_model_on_one_axis_with_a_line_for_each_number_of_threads() -> None:
    picture = drawn(
        plot.Panel("baseline", "baseline", [line("1", 10, 20, 30), line("2", 20, 40, 60)]),
        plot.Panel("int8", "ships", [line("1", 20, 40, 60), line("2", 40, 80, 120)]),
    )
    first, second, third, fourth = paths(picture, "run")
    assert [y for _, y in second] == [y for _, y in third], "equal figures stand at one height in both panels"
    assert max(x for x, _ in second) < min(x for x, _ in third)
    for run in (first, second, third, fourth):
        assert len(run) == 3
        assert run == sorted(run)
        assert [y for _, y in run] == sorted((y for _, y in run), reverse=True), "more is up"
    floor = max(y for run in paths(picture, "axis") for _, y in run[:1])
    # of 10 and 30 the heights over zero are as 1 to 3
    assert (floor - first[2][1]) / (floor - first[0][1]) == pytest.approx(3, rel=0.01)


def test_labels_of_lines_that_end_together_do_not_lie_on_each_other() -> None:
    picture = drawn(plot.Panel("int8", "ships", [line(str(count), 10, 20) for count in (1, 2, 4, 8)]))
    heights = [float(each.get("y", 0)) for each in picture.iter("text") if each.text in ("1", "2", "4", "8")]
    ends = sorted(heights)[:4]
    assert min(b - a for a, b in itertools.pairwise(ends)) >= 12


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_is_no_positive_number_is_left_out(odd: float) -> None:
    picture = drawn(plot.Panel("int8", "variant", [line("1", 10, odd, 30), line("2", odd)]))
    (run,) = paths(picture, "run")
    assert len(run) == 2
    empty = plot.draw([plot.Panel("int8", "variant", [line("1", odd)])], "t", "a", "", str, str)
    assert "nothing was measured" in empty


def test_one_cell_alone_can_be_drawn() -> None:
    picture = drawn(plot.Panel("int8", "variant", [line("1", 10)]))
    assert len(list(picture.iter("circle"))) == 2


def test_hostile_names_draw_no_nonsense() -> None:
    name = "<script>alert(1)</script>"
    made = plot.draw([plot.Panel(name, "variant", [line(name, 10, 20)])], name, name, name, str, str)
    assert "<script>" not in made
