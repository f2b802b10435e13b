"""How far two distributions over the same bins are apart, canary against stable, and what chance alone makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import Metric
from makeweight_monitors.rules.names import Distribution
from makeweight_monitors.rules.promql import CANARY, STABLE, beside, block, chi_squared, share_of
from makeweight_monitors.rules.rule import Recording, Rule
from makeweight_monitors.rules.terms import Terms


def two_arms(terms: Terms, metric: Metric, window: str, label: str, to: Distribution) -> Iterator[Rule]:
    """A metric by `label` over a window, canary against stable."""
    bins, count = terms.of(to.bins), terms.of(to.count)
    yield Recording(to.bins, terms.by_arm(metric.series, window, by=(label,)))
    yield Recording(to.count, f"sum without ({label}) ({bins})")
    yield Recording(to.share, share_of(bins, count, label))
    yield Recording(to.degrees, f"count without ({label}) ({bins}) - 1")
    mine, theirs = terms.of(to.share, CANARY), terms.of(to.share, STABLE)
    yield Recording(
        to.psi,
        block(f"""
            sum by (model, revision) (
              {beside(mine, "-", theirs, (label,))}
              * ln({beside(mine, "/", theirs, (label,))})
            )
            """),
    )
    # PSI / (1/n + 1/m) is chi-squared where nothing differs: below this it is chance
    yield Recording(
        to.floor,
        block(f"""
            sum by (model, revision) ({chi_squared(terms.of(to.degrees, CANARY))})
            * (
              sum by (model, revision) (1 / {terms.of(to.count, CANARY)})
              + on (model) group_left () sum by (model) (1 / {terms.of(to.count, STABLE)})
            )
            """),
    )
