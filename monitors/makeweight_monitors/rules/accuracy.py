"""Accuracy of both arms where labels come, with intervals; and what no label is needed for: how often they disagree."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import ERROR_BIN, LABELLED, LABELLED_CLASS, LABELLED_SLICE, SHADOW_PAIRS, Metric
from makeweight_monitors.rules import names
from makeweight_monitors.rules.distances import two_arms
from makeweight_monitors.rules.promql import CANARY, STABLE, beside, block, inner, number, ratio, wilson
from makeweight_monitors.rules.rule import EVIDENCE, Alert, Comparison, Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import BY_GROUP, COMPARE

_RIGHT = 'outcome="right"'


def groups(terms: Terms) -> Iterator[Group]:
    """In regression an answer is right within the tolerance of its observer; without one there is nothing to record."""
    if not terms.judged:
        return
    yield Group("makeweight-accuracy", (*_intervals(terms), *_by_group(terms)))
    yield Group("makeweight-disagreement", tuple(_disagreement(terms)))
    if not terms.classification:
        yield Group("makeweight-errors", tuple(two_arms(terms, ERROR_BIN, BY_GROUP, "bin", names.ERRORS)))


def _intervals(terms: Terms) -> Iterator[Rule]:
    share, count, drop = (terms.of(name) for name in (names.ACCURACY, names.LABELLED, names.DROP))
    canary, stable = terms.of(names.ACCURACY, CANARY), terms.of(names.ACCURACY, STABLE)
    right = terms.by_arm(LABELLED.series, COMPARE, _RIGHT)
    yield Recording(names.LABELLED, terms.by_arm(LABELLED.series, COMPARE))
    yield Recording(names.ACCURACY, f"(\n{inner(right)}\n) / ({count} > 0)")
    yield Recording(names.ACCURACY_LOW, wilson(share, count, "-"))
    yield Recording(names.ACCURACY_HIGH, wilson(share, count, "+"))
    yield Recording(names.DROP, f"-{beside(canary, '-', stable)}")
    for name, operator, mine, theirs in (
        (names.DROP_LOW, "-", names.ACCURACY_HIGH, names.ACCURACY_LOW),
        (names.DROP_HIGH, "+", names.ACCURACY_LOW, names.ACCURACY_HIGH),
    ):
        # Newcombe 1998, method 10: the interval of a difference from those of its two shares
        yield Recording(
            name,
            block(f"""
                {drop} {operator} sqrt(
                  (sum by (model, revision) ({terms.of(mine, CANARY)} - {canary})) ^ 2
                  + on (model) group_left ()
                  (sum by (model) ({stable} - {terms.of(theirs, STABLE)})) ^ 2
                )
                """),
        )
    if terms.drop is not None:
        yield Alert(
            names.ACCURACY_BELOW_STABLE,
            Comparison(terms.of(names.DROP_LOW), ">", terms.drop),
            EVIDENCE,
            hold="10m",
            summary="{{ $labels.model }} {{ $labels.revision }}: labels of the last half hour speak against the canary",
            description="Accuracy is lower than stable's by at least {{ $value | humanizePercentage }} (99 % "
            f"interval), and {terms.drop:.2%} is tolerated. An interval that is looked at over and over errs more "
            "often than once in a hundred: weigh it, and leave the rollback to the e-value.",
        )


def _by_group(terms: Terms) -> Iterator[Rule]:
    def share(name: str, metric: Metric, label: str) -> Recording:
        right, every = (terms.by_arm(metric.series, BY_GROUP, *of, by=(label,)) for of in ((_RIGHT,), ()))
        return Recording(name, ratio(right, every))

    if terms.slices:
        yield share(names.SLICE_ACCURACY, LABELLED_SLICE, "slice")
    if terms.classification:
        yield share(names.CLASS_ACCURACY, LABELLED_CLASS, "class")


def _disagreement(terms: Terms) -> Iterator[Rule]:
    share, count = terms.of(names.DISAGREEMENT), terms.of(names.DISAGREEMENT_PAIRS)
    every, apart = (terms.over(SHADOW_PAIRS.series, COMPARE, *matchers) for matchers in ((), ('agree="no"',)))
    yield Recording(names.DISAGREEMENT_PAIRS, f"sum by (model, revision) ({every})")
    yield Recording(names.DISAGREEMENT, f"sum by (model, revision) ({apart}) / ({count} > 0)")
    yield Recording(names.DISAGREEMENT_LOW, wilson(share, count, "-"))
    yield Recording(names.DISAGREEMENT_HIGH, wilson(share, count, "+"))
    if terms.drop is not None and terms.classification:
        yield Recording(names.CERTIFIED, f"{terms.of(names.DISAGREEMENT_HIGH)} <= bool {number(terms.drop)}")
    limit = most_disagreement(terms)
    if limit is not None:
        yield Alert(
            names.DISAGREEMENT_HIGH_ALERT,
            Comparison(terms.of(names.DISAGREEMENT_LOW), ">", limit),
            EVIDENCE,
            hold="10m",
            summary="{{ $labels.model }} {{ $labels.revision }} answers otherwise than stable unusually often",
            description=f"At least {{{{ $value | humanizePercentage }}}} of the shadowed requests (99 % interval), and "
            f"{limit:.2%} is what the budget leads to expect. Disagreement bounds the drop in accuracy from above; "
            "that there is more of it proves no harm.",
        )


def most_disagreement(terms: Terms) -> float | None:
    """What to expect at most: flips for the worse that the budget allows and, in a harmless canary, as many for the
    better; without such a rule, twice the tolerated drop. None where neither is declared, or it would be everything,
    and in regression.
    """
    if not terms.classification:
        # two answers within the tolerance of each other may still lie on both sides of it
        return None
    base = terms.flips if terms.flips is not None else terms.drop
    return None if base is None or 2 * base >= 1 else 2 * base
