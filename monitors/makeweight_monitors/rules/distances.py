"""How far two distributions over the same bins are apart, canary against stable, and what chance alone makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.rules.promql import beside, block, chi_squared, equals, selector, share_of
from makeweight_monitors.rules.rule import Recording, Rule
from makeweight_monitors.rules.terms import Terms


def two_arms(
    terms: Terms, label: str, bins: str, count: str, share: str, degrees: str, psi: str, floor: str
) -> Iterator[Rule]:
    """Canary against stable over bins that are recorded already."""
    of = equals("model", terms.model)
    canary, stable = 'variant="canary"', 'variant="stable"'
    yield Recording(count, f"sum without ({label}) ({selector(bins, of)})")
    yield Recording(share, share_of(selector(bins, of), selector(count, of), label))
    yield Recording(degrees, f"count without ({label}) ({selector(bins, of)}) - 1")
    mine, theirs = selector(share, of, canary), selector(share, of, stable)
    yield Recording(
        psi,
        block(f"""
            sum by (model, revision) (
              {beside(mine, "-", theirs, (label,))}
              * ln({beside(mine, "/", theirs, (label,))})
            )
            """),
    )
    # PSI / (1/n + 1/m) is chi-squared where nothing differs: below this it is chance
    yield Recording(
        floor,
        block(f"""
            sum by (model, revision) ({chi_squared(selector(degrees, of, canary))})
            * (
              sum by (model, revision) (1 / {selector(count, of, canary)})
              + on (model) group_left () sum by (model) (1 / {selector(count, of, stable)})
            )
            """),
    )
