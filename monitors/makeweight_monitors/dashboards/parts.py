"""Each slice and each class by itself: compression fails there first."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.look import CANARY, LIMIT, STABLE
from makeweight_monitors.dashboards.panel import HALF, Column, bars, lines, rows
from makeweight_monitors.dashboards.query import Query, of_canary, of_revision, of_stable
from makeweight_monitors.dashboards.rollback import LEAST_DRAWN, WAY, line, way_to_rollback
from makeweight_monitors.rules import names
from makeweight_monitors.rules.terms import Terms, Test

BY_SLICE, BY_CLASS = "E-values by slice", "E-values by class"
SLICE_PAIRS = "Labelled pairs by slice"
MANY_CLASSES = 40
"""More than can be told apart as groups of bars."""
WORST = 20


def tested(terms: Terms) -> Iterator[tuple[Test, str]]:
    if "slice" in terms.families():
        yield "slice", names.SLICE_EVALUE
    if "class" in terms.families():
        yield "class", names.CLASS_EVALUE


def _evalues(test: Test, series: str, title: str) -> Panel:
    return lines(
        title,
        f"Evidence that the canary is worse than tolerated on one {test}, on a logarithmic axis; at the line a "
        f"rollback is asked for. Below 1 it speaks for the canary; at most {LEAST_DRAWN} is drawn as such. The worst "
        f"{WORST} are shown.",
        "short",
        [
            Query(
                f"topk({WORST}, clamp_min({of_revision(series)}, {LEAST_DRAWN}))", f"{{{{{test}}}}} {{{{revision}}}}"
            ),
            Query(f"max({line(test)})", "roll back", LIMIT),
        ],
        axis="log",
    )


def _pairs(test: Test, count: str, harm: str, help_: str, evalue: str) -> Panel:
    by = f"revision, {test}"
    return rows(
        f"Labelled pairs by {test}",
        "Since the canary began. Harm: stable right, canary wrong; help: the other way round.",
        [
            Query(f"max by ({by}) ({of_revision(count)})"),
            Query(f"max by ({by}) ({of_revision(harm)})"),
            Query(f"max by ({by}) ({of_revision(help_)})"),
            Query(f"max by ({by}) (\n{way_to_rollback(of_revision(evalue), line(test))}\n)"),
        ],
        [
            Column(test, test),
            Column("revision", "revision"),
            Column("Value #A", "pairs", "short"),
            Column("Value #B", "harm", "short"),
            Column("Value #C", "help", "short"),
            Column("Value #D", "way to rollback", "percentunit", WAY),
        ],
        HALF,
        most_first="way to rollback",
    )


def _accuracies(title: str, label: str, series: str) -> Panel:
    within = "over six hours; no bar: no label came"
    return bars(
        title,
        f"Share of right answers by {label}, {within}.",
        "percentunit",
        label,
        [
            Query(f"max by ({label}) ({of_stable(series)})", "stable", STABLE),
            Query(f"max by ({label}) ({of_canary(series)})", "canary", CANARY),
        ],
    )


def slices() -> Iterator[Panel]:
    yield _evalues("slice", names.SLICE_EVALUE, BY_SLICE)
    yield _accuracies("Accuracy by slice", "slice", names.SLICE_ACCURACY)
    yield _pairs("slice", names.SLICE_PAIRS, names.SLICE_PAIRS_HARM, names.SLICE_PAIRS_HELP, names.SLICE_EVALUE)
    yield lines(
        "Accuracy by slice over time",
        "Of labelled answers over six hours.",
        "percentunit",
        [
            Query(of_stable(names.SLICE_ACCURACY), "stable, {{slice}}", STABLE),
            Query(of_canary(names.SLICE_ACCURACY), "canary, {{slice}}", CANARY),
        ],
    )


def classes(terms: Terms) -> Iterator[Panel]:
    if "class" in terms.families():
        yield _evalues("class", names.CLASS_EVALUE, BY_CLASS)
    if terms.classes <= MANY_CLASSES:
        yield _accuracies("Accuracy by true class", "class", names.CLASS_ACCURACY)
    if "class" in terms.families():
        yield _pairs("class", names.CLASS_PAIRS, names.CLASS_PAIRS_HARM, names.CLASS_PAIRS_HELP, names.CLASS_EVALUE)
    lost = (
        f"max by (class) ({of_stable(names.CLASS_ACCURACY)})\n- on (class) group_right ()\n"
        f"max by (class, revision) ({of_canary(names.CLASS_ACCURACY)})"
    )
    yield lines(
        "Classes that lost most",
        "stable's accuracy - the canary's, of the five classes where that is most, over six hours. Few labels of a "
        "class make a noisy line; the e-value knows that, this does not.",
        "percentunit",
        [Query(f"topk(5,\n{lost}\n)", "{{class}} {{revision}}")],
    )
