"""Pipelines from end to end, and memory by phase, as the three forms of the report have them."""

from dataclasses import asdict, replace
from typing import Any

import invented_content

from makeweight.budget.measurand import Measurand
from makeweight.measurement import Measurement, unavailable
from makeweight.report import html, markdown, phases, terminal, wholes
from makeweight.report.content import Content
from makeweight.report.figures import Figures

LACKING = "preprocess needs `PIL`, which `pi5` lacks"


def timed() -> Content:
    """slim-int8 is 4.7x as fast as the baseline, and its pipeline 612 / 306 = 2 times."""
    figures: list[Measurement] = []
    for name, seconds, shares in (("baseline", 612e-6, (0.36, 0.61, 0.03)), ("slim-int8", 306e-6, (0.73, 0.22, 0.05))):
        told: dict[str, Any] = {"device": "laptop", "against": "slim-int8" if name == "baseline" else None}
        figures.append(Measurement("end_to_end_latency_p50", name, "s", seconds, (seconds, seconds), 300, **told))
        for part, share in zip(("preprocess", "model", "postprocess"), shares, strict=True):
            figures.append(Measurement(f"{part}_share", name, "fraction", share, **told))
        figures.append(Measurement("memory_load", name, "B", 58.4e6, detail="arena on", **told))
        figures.append(Measurement("memory_mapped", name, "B", 1.5e6, detail="arena on", **told))
    beside: dict[str, Any] = {"against": "baseline", "device": "laptop"}
    ratio = Measurement("end_to_end_latency_p50", "slim-int8", "ratio", 0.5, (0.49, 0.51), 300, **beside)
    figures.append(replace(ratio, comparison="ratio"))
    figures.append(Measurement("same_answers", "slim-int8", "fraction", 61 / 64, samples=64, **beside))
    figures.append(unavailable(Measurand("end_to_end_latency_p50"), "slim-int8", "s", LACKING, device="pi5"))
    content = invented_content.content()
    records = tuple({k: v for k, v in asdict(m).items() if v is not None and v is not False} for m in figures)
    return replace(content, verdict=replace(content.verdict, measurements=(*content.verdict.measurements, *records)))


def test_what_is_left_of_a_gain_is_told_in_each_form() -> None:
    content = timed()
    figures = Figures(content)
    said = "the whole 2.0x faster from end to end; 73 % of its time is preprocessing."
    (told,) = wholes.sentences(content, figures)
    assert told.startswith("`slim-int8` on `laptop`: the model is 4.7x faster, ")
    assert told.endswith(said)
    rows = {(row.variant, row.device): row for row in wholes.rows(figures)}
    assert rows["slim-int8", "laptop"].percents == ("73 %", "22 %", "5 %")
    assert rows["slim-int8", "laptop"].same == "61 of 64"
    assert rows["slim-int8", "pi5"].whole.reason == LACKING
    assert set(rows) == {("baseline", "laptop"), ("slim-int8", "laptop"), ("slim-int8", "pi5")}
    shown = {"terminal": " ".join(terminal.render(content).split()), "markdown": markdown.render(content)}
    assert all(said in text for text in shown.values())
    page = html.render(content)
    assert "73 % · 22 % · 5 %" in page.replace("\u00a0", " ")
    for text in (*shown.values(), page):
        assert "61 of 64" in text.replace("\u00a0", " ")


def test_a_narrow_terminal_tears_no_figure_of_a_pipeline() -> None:
    shown = terminal.render(timed(), 80)
    assert max(map(len, shown.splitlines())) <= 80
    (line,) = [line for line in shown.splitlines() if "306 us" in line]
    assert line.split() == ["slim-int8", "laptop", "306", "us", "2.0x", "[1.96,", "2.04]", "61", "of", "64"]
    assert "pi5     not measured (1)\n" in shown
    (line,) = [line for line in shown.splitlines() if "postprocess" in line]
    assert line.split() == ["end", "to", "end", "device", "preprocess", "model", "postprocess"]


def test_memory_is_told_by_phase() -> None:
    (row, _) = phases.rows(Figures(timed()))
    assert [cell.value for cell in row.cells] == ["58.4 MB", "", "", "", "1.50 MB"]
    assert row.allocation == "arena on"
    assert "| 58.4 MB |" in markdown.render(timed())


def test_memory_that_was_measured_nowhere_has_no_table() -> None:
    content = timed()
    stale = [{**each, "value": None, "status": "unavailable", "reason": "stale"} if each["metric"].startswith("memory_")
             else each for each in content.verdict.measurements]  # fmt: skip
    content = replace(content, verdict=replace(content.verdict, measurements=tuple(stale)))
    assert phases.rows(Figures(content)) == []
    assert "Memory by phase" not in markdown.render(content) + html.render(content)


def test_without_a_pipeline_nothing_is_said_of_one() -> None:
    content = invented_content.content()
    assert wholes.rows(Figures(content)) == []
    assert "end to end" not in terminal.render(content)
    assert "rom end to end" not in html.render(content) + markdown.render(content)
