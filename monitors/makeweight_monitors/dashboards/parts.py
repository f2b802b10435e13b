"""Each slice and each class by itself: compression fails there first."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.look import CANARY, LIMIT, STABLE
from makeweight_monitors.dashboards.panel import HALF, Column, bars, lines, rows
from makeweight_monitors.dashboards.query import Query, now_of_both, of_canary, of_revision, of_stable
from makeweight_monitors.dashboards.rollback import LEAST_DRAWN, WAY, drawn, line, way_to_rollback
from makeweight_monitors.rules import names
from makeweight_monitors.rules.terms import Terms, Test

BY_SLICE, BY_CLASS = "E-values by slice", "E-values by class"
SLICE_PAIRS = "Labelled pairs by slice"
MANY_CLASSES = 40
"""More than can be told apart as groups of bars."""
WORST = 20


def _evalues(test: Test, title: str) -> Panel:
    worst_of_all = f"topk({WORST}, {drawn(of_revision(names.BY_PART[test].evalue))})"
    return lines(
        title,
        f"E-value that the canary is worse than tolerated on one {test}, on a logarithmic axis; at the line a "
        f"rollback is asked for. Below 1 it speaks for the canary; at most {LEAST_DRAWN} is drawn as such. The worst "
        f"{WORST} are shown.",
        "short",
        Query(worst_of_all, f"{{{{{test}}}}} {{{{revision}}}}"),
        Query(f"max({line(test)})", "roll back", LIMIT),
        axis="log",
    )


def _pairs(test: Test) -> Panel:
    pairs = names.BY_PART[test]
    count, harm, help_ = (
        f"max by (revision, {test}) ({of_revision(series)})" for series in (pairs.count, pairs.harm, pairs.help)
    )
    way = f"max by (revision, {test}) (\n{way_to_rollback(of_revision(pairs.evalue), line(test))}\n)"
    return rows(
        f"Labelled pairs by {test}",
        "Since the canary began. Harm: stable right, canary wrong; help: the other way round.",
        Column(test),
        Column("revision"),
        Column("pairs", count, "short"),
        Column("harm", harm, "short"),
        Column("help", help_, "short"),
        Column("way to rollback", way, "percentunit", WAY),
        size=HALF,
        most_first="way to rollback",
    )


def _accuracies(title: str, label: str, series: str) -> Panel:
    description = f"Share of right answers by {label}, over six hours; no bar: no label came."
    return bars(title, description, label, *now_of_both(series, label))


def slices() -> Iterator[Panel]:
    yield _evalues("slice", BY_SLICE)
    yield _accuracies("Accuracy by slice", "slice", names.SLICE_ACCURACY)
    yield _pairs("slice")
    yield lines(
        "Accuracy by slice over time",
        "Of labelled answers over six hours.",
        "percentunit",
        Query(of_stable(names.SLICE_ACCURACY), "stable, {{slice}}", STABLE),
        Query(of_canary(names.SLICE_ACCURACY), "canary, {{slice}}", CANARY),
        least=None,
    )


def classes(terms: Terms) -> Iterator[Panel]:
    if "class" in terms.families():
        yield _evalues("class", BY_CLASS)
    if terms.classes <= MANY_CLASSES:
        yield _accuracies("Accuracy by true class", "class", names.CLASS_ACCURACY)
    if "class" in terms.families():
        yield _pairs("class")
    lost = (
        f"max by (class) ({of_stable(names.CLASS_ACCURACY)})\n- on (class) group_right ()\n"
        f"max by (class, revision) ({of_canary(names.CLASS_ACCURACY)})"
    )
    yield lines(
        "Classes that lost most",
        "stable's accuracy - the canary's, of the five classes where that is most, over six hours. Few labels of a "
        "class make a noisy line; the e-value knows that, this does not.",
        "percentunit",
        Query(f"topk(5,\n{lost}\n)", "{{class}} {{revision}}"),
        least=None,
    )
