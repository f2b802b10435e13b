"""The sequential tests: the only rules that may ask for a rollback, and the lines they compare with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from makeweight_monitors import eprocess
from makeweight_monitors.metrics import (
    PAIRED,
    PAIRED_CLASS,
    PAIRED_SLICE,
    SHADOW_LABELLED,
    SHADOW_PAIRS,
    SPLIT,
    Metric,
)
from makeweight_monitors.rules import names, restarts, samples, selection, totals
from makeweight_monitors.rules.names import Pairs
from makeweight_monitors.rules.promql import CANARY, HARM, HELP, STABLE, equals, evalue, exact, number
from makeweight_monitors.rules.rule import ROLLBACK, Alert, Comparison, Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms, Test

Tolerated = tuple[float, Mapping[str, str]]
"""A drop, and the labels of what may drop so far."""
SERIES_A_LOOK = 20
"""Slices and classes that may be read each minute."""
_LONGEST = 240
"""Below the five minutes after which Prometheus holds a recorded value for gone."""


def groups(terms: Terms) -> Iterator[Group]:
    whole: list[Rule] = [*_lines(terms)]
    if terms.of_pairs():
        whole += [*totals.rules(terms, SHADOW_PAIRS, SHADOW_LABELLED), *selection.rules(terms)]
    if terms.drop is not None and terms.judged:
        whole += totals.rules(terms, PAIRED, SPLIT)
        whole += [*_paired(terms, terms.drop), *_split(terms, terms.drop)]
    if whole:
        yield Group("makeweight-rollback", tuple(whole), f"{terms.interval}s")
    slices: list[Tolerated] = [(drop, {"slice": name}) for name, drop in terms.slices.items()]
    classes: list[Tolerated] = [(terms.class_drop, {})] if terms.class_drop is not None and terms.classes else []
    parts = (
        *totals.rules(terms, *([PAIRED_SLICE] if slices else []), *([PAIRED_CLASS] if classes else [])),
        *_apart(terms, names.ACCURACY_DROP_SLICE, "slice", PAIRED_SLICE, slices),
        *_apart(terms, names.ACCURACY_DROP_CLASS, "class", PAIRED_CLASS, classes),
    )
    if parts:
        yield Group("makeweight-rollback-parts", parts, f"{_parts_interval(terms)}s")


def _parts_interval(terms: Terms) -> int:
    """Seconds between two looks at slices and classes: each reads as many series again as there are of them.

    How often a sequential test is looked at makes no difference to what it promises.
    """
    many = math.ceil((len(terms.slices) + terms.classes) / SERIES_A_LOOK)
    return max(terms.interval, min(_LONGEST, 60 * many))


def _lines(terms: Terms) -> Iterator[Recording]:
    labels = {"model": terms.model}
    for test in terms.families():
        yield Recording(names.ROLLBACK_LINE, f"vector({number(terms.line(test))})", labels | {"test": test})
    on_all: set[Test] = {"failures", "paired", "split"}
    tolerated: list[tuple[float | None, dict[str, str]]]
    tolerated = [(terms.drop, {"test": test}) for test in terms.families() if test in on_all]
    tolerated += [(drop, {"test": "slice", "slice": name}) for name, drop in terms.slices.items()]
    tolerated += [(terms.class_drop, {"test": "class"})] if terms.classes else []
    for drop, of in tolerated:
        if drop is not None:
            yield Recording(names.TOLERATED_DROP, f"vector({number(drop)})", labels | of)


def ask(
    terms: Terms,
    name: str,
    test: Test,
    evalue: str,
    *,
    summary: str,
    against: str,
    hold: str = Alert.hold,
    assumed: str = "",
) -> Alert:
    """The alert that rolls back where the e-value of a test is over its line."""
    over = Comparison(evalue, ">", terms.line(test))
    return Alert(
        name,
        over,
        ROLLBACK,
        summary=summary,
        description=f"The e-value against {against} is {{{{ $value | humanize }}}}, over {number(over.line)}. A canary "
        f"within all that is tolerated ever gets here with probability at most {terms.alpha:g}, however often this is "
        f"looked at: if requests are independent, or those that are not have a `unit`, which counts once{assumed}.",
        hold=hold,
        labels={"test": test, "variant": "canary"},
    )


def _ask(terms: Terms, name: str, test: Test, evalue: str, drops: str, where: str = "", assumed: str = "") -> Alert:
    less = f"{{{{ $labels.model }}}} {{{{ $labels.revision }}}}{where} is less accurate than stable: roll it back"
    return ask(terms, name, test, evalue, summary=less, against=f"a drop of at most {drops}", assumed=assumed)


def _evalues(
    terms: Terms, pairs: Pairs, metric: Metric, drop: float, labels: Mapping[str, str], by: Iterable[str] = ()
) -> Iterator[Recording]:
    """From pairs, by what they say, to their e-value: of one slice where `labels` name it, since rules of one name must
    differ in these.
    """
    narrowed = tuple(equals(*label) for label in labels.items())
    for name, name_since, matchers in (
        (pairs.count, pairs.count_since, ()),
        (pairs.harm, pairs.harm_since, HARM),
        (pairs.help, pairs.help_since, HELP),
    ):
        yield Recording(name, exact(metric, terms.model, by, *narrowed, *matchers), labels)
        yield Recording(name_since, restarts.since(terms, terms.of(name, *narrowed)), labels)
    count, harm, help_, tie = (
        terms.of(name, *narrowed) for name in (pairs.count_since, pairs.harm_since, pairs.help_since, pairs.tie_since)
    )
    tied = f"{count} - {harm} - {help_}" if by else selection.ties(terms, count, harm, help_)
    yield Recording(pairs.tie_since, tied, labels)
    yield Recording(pairs.evalue_since, evalue(eprocess.paired(drop), harm, help_, tie), labels)
    yield Recording(pairs.evalue, restarts.shared(terms, pairs.evalue_since, by, *narrowed), labels)


def _paired(terms: Terms, drop: float) -> Iterator[Rule]:
    pairs = names.PAIRS
    yield from _evalues(terms, pairs, PAIRED, drop, {})
    harm, help_ = terms.of(pairs.harm), terms.of(pairs.help)
    tie = f"sum by (model, revision) ({terms.of(pairs.tie_since, restarts.FIRST)})"
    yield Recording(names.PAIRED_DROP, f"({harm} - {help_}) / ({harm} + {help_} + {tie} > 0)")
    evalue = selection.unselected(terms, terms.of(pairs.evalue))
    yield _ask(terms, names.ACCURACY_DROP_PAIRED, "paired", evalue, f"{drop:.2%}")


def _apart(terms: Terms, alert: str, test: Test, metric: Metric, tolerated: list[Tolerated]) -> Iterator[Rule]:
    """The paired test for each slice, or for every class."""
    pairs = names.BY_PART[test]
    for drop, labels in tolerated:
        yield from _evalues(terms, pairs, metric, drop, labels, (test,))
    if tolerated:
        drops = ", ".join(f"{drop:.2%}" for drop, _ in tolerated)
        evalue = selection.unselected(terms, terms.of(pairs.evalue))
        yield _ask(terms, alert, test, evalue, drops, f" on the {test} `{{{{ $labels.{test} }}}}`")


def _split(terms: Terms, drop: float) -> Iterator[Rule]:
    """Labelled requests of split traffic, at each declared share apart. Here `revision` names the release on trial, on
    both sides.
    """
    split, wrong = names.SPLIT, 'outcome="wrong"'
    canary = terms.of(split.canary)
    for name, matchers in (
        (split.canary, (CANARY,)),
        (split.canary_wrong, (CANARY, wrong)),
        (split.stable, (STABLE,)),
        (split.stable_wrong, (STABLE, wrong)),
    ):
        counted = exact(SPLIT, terms.model, ("weight",), *matchers)
        if STABLE in matchers:
            # of the same rollout, from another file; stable may be told of a new share later, or not at all
            by = "model, rollout, weight"
            counted = f"{canary} * 0 + on ({by}) group_left () sum by ({by}) ({counted})\nor\n{canary} * 0"
        yield Recording(name, counted)
    yield from samples.evalue(terms, split, drop)
    where = " (split traffic)"
    assumed = (
        ", and if labels come regardless of who was right, which is taken for granted here: of pairs alone does it show"
    )
    yield _ask(terms, names.ACCURACY_DROP_SPLIT, "split", terms.of(split.evalue), f"{drop:.2%}", where, assumed)
