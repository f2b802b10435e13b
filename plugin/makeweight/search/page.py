"""reports/search/search.html: every trial, where it lies between size, time and quality, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makeweight.report import prose
from makeweight.report.comparison import from_words, heading, rows
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.pages import template
from makeweight.report.sections.charts import collapsed, tradeoffs
from makeweight.report.standing import SIGNS, WORDS
from makeweight.search.told import recipe_words, spent_words


def render(content: Content, report: Mapping[str, Any], why: str) -> str:
    """The page. Pure.

    Args:
        content: the trials that were carried through, as variants of a verdict; the best of them ships.
        report: what search.json holds.
        why: why the search ended, in words.
    """
    figures = Figures(content)
    by_name = {row.variant: row for row in rows(content, figures)}
    said = from_words(each for row in by_name.values() for each in row.latencies)
    outcome, far = report["verdict"], collapsed(content, figures)
    trials = [
        {
            "number": trial["number"] + 1,
            "recipe": recipe_words(trial["proposal"]["settings"]),
            "row": by_name.get(trial["name"]),
            "sign": SIGNS[trial["verdict"]] if trial["verdict"] else "",
            "verdict": trial["verdict"] or "not_applicable",
            "word": WORDS[trial["verdict"]] if trial["verdict"] else "given up",
            "sentence": trial["sentence"] or "",
            "variant": trial["variant"],
            "seconds": f"{trial['seconds']:,.0f} s",
        }
        for trial in report["trials"]
    ]
    return template("search.html.j2", "makeweight.search", "makeweight.report").render(
        project=report["project"],
        outcome=outcome,
        symbol=SIGNS[outcome],
        word="found" if report["winners"] else "nothing found that passes",
        headline=prose.sentence(report["sentence"].removesuffix(".")),
        report=report,
        why=why,
        spent=spent_words(report),
        winners=[{**each, "recipe": recipe_words(each["settings"])} for each in report["winners"]],
        tradeoffs=tradeoffs(content, figures, far),
        collapsed=far,
        quality=heading(figures),
        lower_is_better=figures.better(figures.quality) == "lower",
        devices=figures.devices,
        latency_from=prose.sentence(said),
        baseline=by_name.get("baseline"),
        trials=trials,
    )
