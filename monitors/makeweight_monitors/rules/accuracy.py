"""Accuracy of both arms where labels come, with intervals; and what no label is needed for: how often they disagree."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import LABELLED, LABELLED_CLASS, LABELLED_SLICE, SHADOW_PAIRS
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import beside, block, by_arm, equals, inner, number, selector, wilson
from makeweight_monitors.rules.rule import Alert, Comparison, Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import BY_GROUP, COMPARE

_RIGHT = 'outcome="right"'


def groups(terms: Terms) -> Iterator[Group]:
    """In regression an answer is right within the tolerance of its observer; without one there is nothing to record."""
    yield Group("makeweight-accuracy", (*_intervals(terms), *_by_group(terms)))
    yield Group("makeweight-disagreement", tuple(_disagreement(terms)))


def _share(terms: Terms, metric: str, window: str, by: tuple[str, ...] = ()) -> str:
    right = by_arm(metric, terms.model, window, by, _RIGHT)
    every = by_arm(metric, terms.model, window, by)
    return f"(\n{inner(right)}\n) / ((\n{inner(every)}\n) > 0)"


def _intervals(terms: Terms) -> Iterator[Rule]:
    of = equals("model", terms.model)
    canary, stable = 'variant="canary"', 'variant="stable"'
    share, count = selector(names.ACCURACY, of), selector(names.LABELLED, of)
    yield Recording(names.LABELLED, by_arm(LABELLED.series, terms.model, COMPARE))
    yield Recording(
        names.ACCURACY, f"(\n{inner(by_arm(LABELLED.series, terms.model, COMPARE, (), _RIGHT))}\n) / ({count} > 0)"
    )
    yield Recording(names.ACCURACY_LOW, wilson(share, count, "-"))
    yield Recording(names.ACCURACY_HIGH, wilson(share, count, "+"))
    yield Recording(
        names.DROP, f"-{beside(selector(names.ACCURACY, of, canary), '-', selector(names.ACCURACY, of, stable))}"
    )
    for name, operator, mine, theirs in (
        (names.DROP_LOW, "-", names.ACCURACY_HIGH, names.ACCURACY_LOW),
        (names.DROP_HIGH, "+", names.ACCURACY_LOW, names.ACCURACY_HIGH),
    ):
        # Newcombe 1998, method 10: the interval of a difference from those of its two shares
        yield Recording(
            name,
            block(f"""
                {selector(names.DROP, of)} {operator} sqrt(
                  (sum by (model, revision) ({selector(mine, of, canary)} - {selector(names.ACCURACY, of, canary)})) ^ 2
                  + on (model) group_left ()
                  (sum by (model) ({selector(names.ACCURACY, of, stable)} - {selector(theirs, of, stable)})) ^ 2
                )
                """),
        )
    if terms.drop is not None:
        yield Alert(
            names.ACCURACY_BELOW_STABLE,
            Comparison(selector(names.DROP_LOW, of), ">", terms.drop),
            "evidence",
            "ticket",
            hold="10m",
            summary="{{ $labels.model }} {{ $labels.revision }}: labels of the last half hour speak against the canary",
            description="Accuracy is lower than stable's by at least {{ $value | humanizePercentage }} (99 % "
            f"interval), and {terms.drop:.2%} is tolerated. An interval that is looked at over and over errs more "
            "often than once in a hundred: weigh it, and leave the rollback to the e-value.",
        )


def _by_group(terms: Terms) -> Iterator[Rule]:
    if terms.slices:
        yield Recording(names.SLICE_ACCURACY, _share(terms, LABELLED_SLICE.series, BY_GROUP, ("slice",)))
    if terms.classification:
        yield Recording(names.CLASS_ACCURACY, _share(terms, LABELLED_CLASS.series, BY_GROUP, ("class",)))


def _disagreement(terms: Terms) -> Iterator[Rule]:
    of = equals("model", terms.model)
    metric = SHADOW_PAIRS.series
    share, count = selector(names.DISAGREEMENT, of), selector(names.DISAGREEMENT_PAIRS, of)
    yield Recording(names.DISAGREEMENT_PAIRS, f"sum by (model, revision) (increase({selector(metric, of)}[{COMPARE}]))")
    apart = selector(metric, of, 'agree="no"')
    yield Recording(names.DISAGREEMENT, f"sum by (model, revision) (increase({apart}[{COMPARE}])) / ({count} > 0)")
    yield Recording(names.DISAGREEMENT_LOW, wilson(share, count, "-"))
    yield Recording(names.DISAGREEMENT_HIGH, wilson(share, count, "+"))
    if terms.drop is not None and terms.classification:
        yield Recording(names.CERTIFIED, f"{selector(names.DISAGREEMENT_HIGH, of)} <= bool {number(terms.drop)}")
    limit = most_disagreement(terms)
    if limit is not None:
        yield Alert(
            names.DISAGREEMENT_HIGH_ALERT,
            Comparison(selector(names.DISAGREEMENT_LOW, of), ">", limit),
            "evidence",
            "ticket",
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
