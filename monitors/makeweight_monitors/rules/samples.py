"""The test of two arms that answer different requests, from the counts of each: `eprocess.two_samples` in PromQL.

All bets are series side by side, told apart by `rise` and `fall`; so the rule is as long for any number of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from makeweight_monitors.eprocess import CEILING, FALLS, RISES
from makeweight_monitors.rules import restarts
from makeweight_monitors.rules.names import Samples
from makeweight_monitors.rules.promql import block, number
from makeweight_monitors.rules.rule import Recording
from makeweight_monitors.rules.terms import Terms


def evalue(terms: Terms, samples: Samples, drop: float) -> Iterator[Recording]:
    """From the four counts, by model, revision and weight, to the e-value by model and revision.

    What was seen at one share and what was seen at another are different requests: their e-values are multiplied.
    """
    labels = "model, revision, weight, since"
    on = f"on ({labels})"
    for name, name_since in (
        (samples.canary, samples.canary_since),
        (samples.canary_wrong, samples.canary_wrong_since),
        (samples.stable, samples.stable_since),
        (samples.stable_wrong, samples.stable_wrong_since),
    ):
        yield Recording(name_since, restarts.since(terms, terms.of(name)))
    canary, canary_wrong, stable, stable_wrong, share, rise, fall, bet, null = (
        terms.of(name)
        for name in (
            samples.canary_since, samples.canary_wrong_since, samples.stable_since, samples.stable_wrong_since,
            samples.share, samples.rise, samples.fall, samples.bet, samples.null,
        )
    )  # fmt: skip
    yield Recording(samples.share, f"{canary} / clamp_min({canary} + {stable}, 1)")
    yield Recording(samples.rise, _each(f"{canary} * 0 + {{}}", "rise", map(number, RISES)))
    yield Recording(samples.fall, _each(f"{canary} * 0 + {{}}", "fall", map(number, FALLS)))
    yield Recording(samples.bet, _each(rise, "fall", map(number, FALLS)))
    yield Recording(
        samples.null,
        block(f"""
            clamp(
              0 * {bet}
              + on ({labels}, fall) group_left () ({share} / {on} group_right () {fall})
              - on ({labels}, rise) group_left ()
              ((1 - {share}) * {on} group_right () (1 / {rise} + {number(drop)})),
              0,
              {number(1 - drop)}
            )
            """),
    )
    yield Recording(
        samples.evalue_at_weight,
        block(f"""
            clamp_max(
              avg by ({labels}) (
                exp(
                  clamp_max(
                    (ln(1 + {bet}) * {on} group_left () {canary_wrong})
                    - (ln(1 + {bet} * ({null} + {number(drop)})) * {on} group_left () {canary})
                    - (ln(1 - {null} * on ({labels}, fall) group_left () {fall}) * {on} group_left () {stable})
                    + on ({labels}, fall) group_left () (ln(1 - {fall}) * {on} group_left () {stable_wrong}),
                    700
                  )
                )
              ),
              {CEILING:g}
            )
            """),
    )
    every = f"exp(sum by (model, revision, since) (ln({terms.of(samples.evalue_at_weight)})))"
    yield Recording(samples.evalue_since, f"clamp_max({every}, {CEILING:g})")
    yield Recording(samples.evalue, restarts.shared(terms, samples.evalue_since))


def _each(value: str, label: str, numbers: Iterable[str]) -> str:
    """One series for each number, which is in the label and, in the place of `{}`, in the value."""
    return "\nor\n".join(f'label_replace({value.replace("{}", one)}, "{label}", "{one}", "", "")' for one in numbers)
