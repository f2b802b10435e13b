"""Drift without labels: the confidence in the answers, the classes predicted, the inputs. Evidence, no more."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import CALIBRATION, FEATURE_BIN, PREDICTED_CLASS, REFERENCE_SHARE, SCORE_BIN
from makeweight_monitors.rules import names
from makeweight_monitors.rules.distances import two_arms
from makeweight_monitors.rules.promql import CANARY, STABLE, Z_RARE, block, chi_squared, inner, number, share_of
from makeweight_monitors.rules.rule import EVIDENCE, Alert, Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import COMPARE, INPUTS, INPUTS_BEFORE

MARKED = 0.2
"""A population stability index beyond which a shift is called marked, by long usage in credit scoring."""
_BY_BIN = "model, revision, variant, bin"
LEAST_FALL = 0.01
"""A fall of estimated accuracy that is worth a word where the budget tolerates no drop of its own."""


def groups(terms: Terms) -> Iterator[Group]:
    if terms.classification:
        yield Group("makeweight-predictions", tuple(_predictions(terms)))
        if terms.examples:
            yield Group("makeweight-reference", tuple(_reference(terms)), terms.every_step)
            yield Group("makeweight-confidence", (*_shifts(terms, terms.examples), *_estimate(terms)))
    yield Group("makeweight-inputs", tuple(_inputs(terms)))


def _marked(
    terms: Terms,
    name: str,
    psi: str,
    floor: str,
    summary: str,
    of: str,
    limit: float = MARKED,
    why: str = "",
    more: str = "",
) -> Alert:
    """A shift that is marked and that is not chance."""
    index = terms.of(psi)
    return Alert(
        name,
        f"{index} > {number(limit)}\nand\n{index} > {terms.of(floor)}",
        EVIDENCE,
        hold="15m",
        summary=summary,
        description=f"{of} is {{{{ $value | humanize }}}}, over {number(limit)}{why} and over what chance alone "
        f"reaches once in a thousand.{more}",
    )


def _reference(terms: Terms) -> Iterator[Rule]:
    """What the processes tell of the test split: each the same, for as long as it lives."""
    for name, metric in ((names.REFERENCE_BY_REVISION, REFERENCE_SHARE), (names.CALIBRATION_BY_REVISION, CALIBRATION)):
        yield Recording(name, f"max by ({_BY_BIN}) ({terms.of(metric.series)})")


def _predictions(terms: Terms) -> Iterator[Rule]:
    yield from two_arms(terms, PREDICTED_CLASS, COMPARE, "class", names.PREDICTED)
    yield _marked(
        terms,
        names.PREDICTIONS_DIFFER,
        names.PREDICTED.psi,
        names.PREDICTED.floor,
        "{{ $labels.model }} {{ $labels.revision }} predicts other classes than stable",
        "The population stability index of the predicted classes, canary against stable,",
    )


def _shifts(terms: Terms, examples: int) -> Iterator[Rule]:
    count, share = terms.of(names.SCORES.count), terms.of(names.SCORES.share)
    yield from two_arms(terms, SCORE_BIN, COMPARE, "bin", names.SCORES)
    yield _marked(
        terms,
        names.SCORES_DIFFER,
        names.SCORES.psi,
        names.SCORES.floor,
        "{{ $labels.model }} {{ $labels.revision }} is not as confident as stable",
        "The population stability index of the confidence, canary against stable,",
        MARKED + terms.reference_psi,
        f" ({number(terms.reference_psi)} was measured on the test split: compression alone changes confidence)",
    )
    on_test = terms.of(names.SCORE_REFERENCE)
    yield Recording(
        names.SCORE_REFERENCE,
        block(f"""
            {terms.of(names.REFERENCE_BY_REVISION, CANARY)}
            or
            max by (model, variant, bin) ({terms.of(names.REFERENCE_BY_REVISION, STABLE)})
            """),
    )
    smoothed = inner(
        block(f"""
            (
              ({on_test} * {examples} + 0.5)
              / ignoring (bin) group_left ()
              ({examples} + 0.5 * count without (bin) ({on_test}))
            )
            """)
    ).strip()
    yield Recording(
        names.REFERENCE_PSI, f"sum without (bin) (\n  ({share} - {smoothed})\n  * ln({share} / {smoothed})\n)"
    )
    degrees = chi_squared(terms.of(names.SCORES.degrees))
    yield Recording(names.REFERENCE_PSI_FLOOR, f"{degrees}\n* (1 / {count} + 1 / {examples})")
    yield _marked(
        terms,
        names.SCORES_SHIFTED,
        names.REFERENCE_PSI,
        names.REFERENCE_PSI_FLOOR,
        "{{ $labels.model }} ({{ $labels.variant }}): production is not what the test split was",
        "The population stability index of the confidence against the test split's",
        more=" Figures that were measured on the test split may not hold for these inputs.",
    )


def _estimate(terms: Terms) -> Iterator[Rule]:
    """Confidence-based performance estimation: each bin counts with the accuracy that it had on the test split."""
    estimate, error = terms.of(names.CBPE), terms.of(names.CBPE_ERROR)
    arms = ((CANARY, "model, revision, variant"), (STABLE, "model, variant"))

    def weighed(power: str) -> str:
        """Sums over bins whose calibration is known, by arm; the calibration is each revision's own."""
        return "\nor\n".join(
            f"sum by ({labels}) (\n  sum by ({_BY_BIN}) ({terms.over(SCORE_BIN.series, COMPARE, arm)})\n"
            f"  * on ({_BY_BIN}) {terms.of(names.CALIBRATION_BY_REVISION, arm)}{power}\n)"
            for arm, labels in arms
        )

    every = f"((\n{inner(weighed(' ^ 0'))}\n) > 0)"
    yield Recording(names.CBPE, f"(\n{inner(weighed(''))}\n)\n/ {every}")
    squares = inner(weighed(" ^ 2"), 4)
    spread = f"clamp_min(\n  (\n{squares}\n  )\n  / {inner(every).strip()}\n  - {estimate} ^ 2,\n  0\n)"
    yield Recording(names.CBPE_ERROR, f"sqrt({spread} / {terms.of(names.SCORES.count)})")
    on_test = (
        f"max by ({labels}) (sum by (model, revision, variant) ({terms.of(names.REFERENCE_BY_REVISION, arm)}"
        f" * on ({_BY_BIN}) {terms.of(names.CALIBRATION_BY_REVISION, arm)}))"
        for arm, labels in arms
    )
    yield Recording(names.REFERENCE_ACCURACY, "\nor\n".join(on_test))
    yield Alert(
        names.CONFIDENCE_FELL,
        f"{terms.of(names.REFERENCE_ACCURACY)} - {estimate}\n> {number(terms.drop or LEAST_FALL)} + {Z_RARE} * {error}",
        EVIDENCE,
        hold="15m",
        summary="{{ $labels.model }} ({{ $labels.variant }}) is less sure of itself than on the test split",
        description="From its calibrated confidence, accuracy is estimated {{ $value | humanizePercentage }} below "
        "that on the test split, more than chance explains. The estimate sees inputs that are harder; it is blind to "
        "answers that became wrong without the model noticing.",
    )


def _inputs(terms: Terms) -> Iterator[Rule]:
    """Both arms see the same inputs: they are pooled, and the last hour is held against the day before it."""
    for name, window, ago in ((names.FEATURE_BIN_1H, INPUTS, ""), (names.FEATURE_BIN_1D, INPUTS_BEFORE, INPUTS)):
        counted = terms.over(FEATURE_BIN.series, window, offset=ago)
        yield Recording(name, f"sum by (model, feature, bin) ({counted})")
    now, before = terms.of(names.FEATURE_BIN_1H), terms.of(names.FEATURE_BIN_1D)
    for name, bins in ((names.FEATURE_SHARE_1H, now), (names.FEATURE_SHARE_1D, before)):
        yield Recording(name, share_of(bins, f"sum without (bin) ({bins})", "bin"))
    mine, theirs = terms.of(names.FEATURE_SHARE_1H), terms.of(names.FEATURE_SHARE_1D)
    yield Recording(names.FEATURE_PSI, f"sum without (bin) (({mine} - {theirs}) * ln({mine} / {theirs}))")
    yield Recording(
        names.FEATURE_PSI_FLOOR,
        f"{chi_squared(f'(count without (bin) ({now}) - 1)')}\n"
        f"* (1 / sum without (bin) ({now}) + 1 / sum without (bin) ({before}))",
    )
    yield _marked(
        terms,
        names.INPUTS_SHIFTED,
        names.FEATURE_PSI,
        names.FEATURE_PSI_FLOOR,
        "{{ $labels.model }}: the input `{{ $labels.feature }}` is not what it was the day before",
        "Its population stability index, the last hour against the day before it,",
    )
