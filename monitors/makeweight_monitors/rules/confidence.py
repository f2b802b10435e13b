"""Drift without labels: the confidence in the answers, the classes predicted, the inputs. Evidence, no more."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import CALIBRATION, FEATURE_BIN, PREDICTED_CLASS, REFERENCE_SHARE, SCORE_BIN
from makeweight_monitors.rules import names
from makeweight_monitors.rules.distances import two_arms
from makeweight_monitors.rules.promql import (
    Z_RARE,
    block,
    by_arm,
    chi_squared,
    equals,
    inner,
    number,
    selector,
    share_of,
)
from makeweight_monitors.rules.rule import Alert, Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import COMPARE, INPUTS, INPUTS_BEFORE

MARKED = 0.2
"""A population stability index beyond which a shift is called marked, by long usage in credit scoring."""
LEAST_FALL = 0.01
"""A fall of estimated accuracy that is worth a word where the budget tolerates no drop of its own."""


def groups(terms: Terms) -> Iterator[Group]:
    if terms.classification:
        yield Group("makeweight-predictions", tuple(_predictions(terms)))
        if terms.examples:
            yield Group("makeweight-confidence", (*_shifts(terms, terms.examples), *_estimate(terms)))
    yield Group("makeweight-inputs", tuple(_inputs(terms)))


def _shifted(
    terms: Terms, name: str, series: tuple[str, str], summary: str, what: str, limit: float = MARKED, why: str = "",
    more: str = "",
) -> Alert:  # fmt: skip
    """`series`: a population stability index, `what`, and its floor; `why`: what makes the limit another than usual."""
    psi, floor = (selector(one, equals("model", terms.model)) for one in series)
    return Alert(
        name,
        f"{psi} > {number(limit)}\nand\n{psi} > {floor}",
        "evidence",
        "ticket",
        hold="15m",
        summary=summary,
        description=f"{what} is {{{{ $value | humanize }}}}, over {number(limit)}{why} and over what chance alone "
        f"reaches once in a thousand.{more}",
    )


def _predictions(terms: Terms) -> Iterator[Rule]:
    yield Recording(names.PREDICTED, by_arm(PREDICTED_CLASS.series, terms.model, COMPARE, ("class",)))
    yield from two_arms(terms, "class", *names.PREDICTED_APART)
    yield _shifted(
        terms,
        names.PREDICTIONS_DIFFER,
        (names.PREDICTED_PSI, names.PREDICTED_PSI_FLOOR),
        "{{ $labels.model }} {{ $labels.revision }} predicts other classes than stable",
        "The population stability index of the predicted classes, canary against stable,",
    )


def _shifts(terms: Terms, examples: int) -> Iterator[Rule]:
    of = equals("model", terms.model)
    canary, stable = 'variant="canary"', 'variant="stable"'
    count, share = selector(names.SCORE_COUNT, of), selector(names.SCORE_SHARE, of)
    yield Recording(names.SCORE_BIN, by_arm(SCORE_BIN.series, terms.model, COMPARE, ("bin",)))
    yield from two_arms(terms, "bin", *names.SCORES_APART)
    yield _shifted(
        terms,
        names.SCORES_DIFFER,
        (names.SCORE_PSI, names.SCORE_PSI_FLOOR),
        "{{ $labels.model }} {{ $labels.revision }} is not as confident as stable",
        "The population stability index of the confidence, canary against stable,",
        MARKED + terms.reference_psi,
        f" ({number(terms.reference_psi)} was measured on the test split: compression alone changes confidence)",
    )
    reference = REFERENCE_SHARE.series
    yield Recording(
        names.SCORE_REFERENCE,
        block(f"""
            max by (model, revision, variant, bin) ({selector(reference, of, canary)})
            or
            max by (model, variant, bin) ({selector(reference, of, stable)})
            """),
    )
    on_test = selector(names.SCORE_REFERENCE, of)
    smoothed = block(f"""
        (
          ({on_test} * {examples} + 0.5)
          / ignoring (bin) group_left ()
          ({examples} + 0.5 * count without (bin) ({on_test}))
        )
        """)
    yield Recording(
        names.REFERENCE_PSI,
        f"sum without (bin) (\n  ({share} - {inner(smoothed).strip()})\n  * ln({share} / {inner(smoothed).strip()})\n)",
    )
    yield Recording(
        names.REFERENCE_PSI_FLOOR,
        f"{chi_squared(selector(names.SCORE_DEGREES, of))}\n* (1 / {count} + 1 / {examples})",
    )
    yield _shifted(
        terms,
        names.SCORES_SHIFTED,
        (names.REFERENCE_PSI, names.REFERENCE_PSI_FLOOR),
        "{{ $labels.model }} ({{ $labels.variant }}): production is not what the test split was",
        "The population stability index of the confidence against the test split's",
        more=" Figures that were measured on the test split may not hold for these inputs.",
    )


def _estimate(terms: Terms) -> Iterator[Rule]:
    """Confidence-based performance estimation: each bin counts with the accuracy that it had on the test split."""
    of = equals("model", terms.model)
    estimate, error = selector(names.CBPE, of), selector(names.CBPE_ERROR, of)

    def weighed(factor: str) -> str:
        """Sums over bins whose calibration is known, by arm; the calibration is each revision's own."""
        parts = []
        for variant, labels in (("canary", "model, revision, variant"), ("stable", "model, variant")):
            chosen = equals("variant", variant)
            calibration = f"max by (model, revision, variant, bin) ({selector(CALIBRATION.series, of, chosen)})"
            times = {"1": f"{calibration} ^ 0", "a": calibration, "a2": f"{calibration} ^ 2"}[factor]
            counted = f"increase({selector(SCORE_BIN.series, of, chosen)}[{COMPARE}])"
            parts.append(f"sum by ({labels}) (\n  sum by (model, revision, variant, bin) ({counted})\n  * {times}\n)")
        return "\nor\n".join(parts)

    every = f"((\n{inner(weighed('1'))}\n) > 0)"
    yield Recording(names.CBPE, f"(\n{inner(weighed('a'))}\n)\n/ {every}")
    spread = f"clamp_min(\n  (\n{inner(weighed('a2'), 4)}\n  )\n  / {inner(every).strip()}\n  - {estimate} ^ 2,\n  0\n)"
    yield Recording(names.CBPE_ERROR, f"sqrt({spread} / {selector(names.SCORE_COUNT, of)})")
    by = "model, revision, variant, bin"
    product = "max by ({by}) ({share}) * max by ({by}) ({calibration})"
    parts = []
    for variant, labels in (("canary", "model, revision, variant"), ("stable", "model, variant")):
        chosen = equals("variant", variant)
        each = product.format(
            by=by,
            share=selector(REFERENCE_SHARE.series, of, chosen),
            calibration=selector(CALIBRATION.series, of, chosen),
        )
        parts.append(f"max by ({labels}) (sum by (model, revision, variant) ({each}))")
    yield Recording(names.REFERENCE_ACCURACY, "\nor\n".join(parts))
    fall = terms.drop if terms.drop else LEAST_FALL
    yield Alert(
        names.CONFIDENCE_FELL,
        f"{selector(names.REFERENCE_ACCURACY, of)} - {estimate}\n> {number(fall)} + {Z_RARE} * {error}",
        "evidence",
        "ticket",
        hold="15m",
        summary="{{ $labels.model }} ({{ $labels.variant }}) is less sure of itself than on the test split",
        description="From its calibrated confidence, accuracy is estimated {{ $value | humanizePercentage }} below "
        "that on the test split, more than chance explains. The estimate sees inputs that are harder; it is blind to "
        "answers that became wrong without the model noticing.",
    )


def _inputs(terms: Terms) -> Iterator[Rule]:
    """Both arms see the same inputs: they are pooled, and the last hour is held against the day before it."""
    of = equals("model", terms.model)
    metric = selector(FEATURE_BIN.series, of)
    yield Recording(names.FEATURE_BIN_1H, f"sum by (model, feature, bin) (increase({metric}[{INPUTS}]))")
    yield Recording(
        names.FEATURE_BIN_1D, f"sum by (model, feature, bin) (increase({metric}[{INPUTS_BEFORE}] offset {INPUTS}))"
    )
    now, before = selector(names.FEATURE_BIN_1H, of), selector(names.FEATURE_BIN_1D, of)
    for name, bins in ((names.FEATURE_SHARE_1H, now), (names.FEATURE_SHARE_1D, before)):
        yield Recording(name, share_of(bins, f"sum without (bin) ({bins})", "bin"))
    mine, theirs = selector(names.FEATURE_SHARE_1H, of), selector(names.FEATURE_SHARE_1D, of)
    yield Recording(names.FEATURE_PSI, f"sum without (bin) (({mine} - {theirs}) * ln({mine} / {theirs}))")
    degrees = f"(count without (bin) ({now}) - 1)"
    yield Recording(
        names.FEATURE_PSI_FLOOR,
        f"{chi_squared(degrees)}\n* (1 / sum without (bin) ({now}) + 1 / sum without (bin) ({before}))",
    )
    yield _shifted(
        terms,
        names.INPUTS_SHIFTED,
        (names.FEATURE_PSI, names.FEATURE_PSI_FLOOR),
        "{{ $labels.model }}: the input `{{ $labels.feature }}` is not what it was the day before",
        "Its population stability index, the last hour against the day before it,",
    )
