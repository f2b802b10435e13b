"""The whole report as one HTML file: no script, no font, no picture that is not within it, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from makeweight.layout import BASELINE
from makeweight.report import larger, phases, prose, remarks, wholes
from makeweight.report.comparison import LATENCY, from_words, heading, rows
from makeweight.report.content import Content
from makeweight.report.facts import flat
from makeweight.report.figures import NOT_RECORDED, Figures
from makeweight.report.pages import template
from makeweight.report.remedy import remedy
from makeweight.report.sections.charts import by_class, latencies, tradeoffs
from makeweight.report.sections.examples import flipped
from makeweight.report.sections.operators import profiled, unprofiled
from makeweight.report.sections.tables import everything, judgement, machines, recipe
from makeweight.report.sections.throughput import charts as throughputs
from makeweight.report.sections.tiles import tiles
from makeweight.report.standing import SIGNS, blocking, leading, waived, warnings
from makeweight.report.text import address


def render(content: Content) -> str:
    """report.html. Pure: the same content gives the same page.

    Raises:
        UsageError: a measurement of the verdict cannot be read.
    """
    return template("report.html.j2", "makeweight.report").render(_page(content))


def _page(content: Content) -> dict[str, Any]:
    figures = Figures(content)
    verdict = content.verdict
    lead = leading(verdict)
    order = [name for name in figures.variants if name == lead] + [name for name in figures.variants if name != lead]
    held_up = blocking(verdict, lead) if lead else []
    table, every = rows(content, figures), everything(figures)
    return {
        "project": verdict.project,
        "outcome": verdict.verdict,
        "symbol": SIGNS[verdict.verdict],
        "word": prose.word(content),
        "headline": prose.headline(content, figures),
        "lead": lead,
        "ships": verdict.ship,
        "altered": prose.altered(content),
        "weakening": verdict.review.weakening,
        "also_altered": [each for each in verdict.review.alterations if not each.weakens],
        "word_on_it": prose.word_on_it(verdict.review),
        "notices": prose.notices(content),
        "waivers": prose.waivers(content, lead) if lead else [],
        "reasons": prose.reasons(content, figures, lead) if lead else [],
        "settling": prose.settling(held_up),
        "remedy": remedy(content, figures, lead) if lead and verdict.verdict != "pass" else "",
        "warnings": [prose.sentence(rule.sentence) for rule in warnings(verdict, lead)] if lead else [],
        "tiles": tiles(figures, lead, [*held_up, *waived(verdict, lead)]) if lead else [],
        "quality": heading(figures),
        "lower_is_better": figures.better(figures.quality) == "lower",
        "unmeasured_devices": "; ".join(_untimed(figures)),
        "devices": figures.devices,
        "rows": [(row, SIGNS[row.outcome] if row.outcome else "") for row in table],
        "latency_from": prose.sentence(from_words(each for row in table for each in row.latencies)),
        "on_variants": [*remarks.remarks(content, figures), *larger.sentences(content)],
        "tradeoffs": tradeoffs(content, figures),
        "timed": any(each.device is not None and each.value is not None for each in figures),
        "latencies": latencies(content, figures),
        "wholes": wholes.rows(figures),
        "left_of_the_gain": wholes.sentences(content, figures),
        "parts": list(wholes.HEADS),
        "throughputs": throughputs(content, figures, order),
        "phases": phases.rows(figures),
        "phase_heads": list(phases.HEADS.values()),
        "profiles": profiled(content, figures, order),
        "unprofiled": unprofiled(content),
        "classes": by_class(content, order),
        "class_figure": content.class_figure,
        "flips": flipped(content, order),
        "all_figures": every,
        "figure_from": prose.sentence(from_words(each for _, cells in every for each in cells)),
        "everyone": figures.models,
        "rules": [(name, *judgement(content, name)) for name in order],
        "recipes": [recipe(content, figures, name) for name in [*order, BASELINE] if name in content.manifests],
        "machines": machines(content, figures),
        "provenance": flat(verdict.provenance),
        "remarks": content.remarks,
        "links": [(label, address(url)) for label, url in content.links.items()],
        "unavailable": figures.unavailable(),
    }


def _untimed(figures: Figures) -> Iterator[str]:
    """Each device that timed nothing, with its reason."""
    for device in figures.devices:
        machine = figures.machines.get(device)
        reasons = [machine.reason if machine is not None else None]
        reasons += [figures.reason(LATENCY, name, device) for name in figures.variants]
        yield f"{device}: {next((reason for reason in reasons if reason), NOT_RECORDED)}"
