"""A verdict is of what it was reached on: where that changed since, it lets nothing through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from makeweight.decide.judge import outdated
from makeweight.decide.verdict import Verdict

# As many are named; one change often moves many files.
_NAMED = 3


def stale(decided: Verdict, changed: Sequence[str]) -> Verdict:
    """The same verdict, undecided for every variant.

    Args:
        changed: what is no longer what was judged, such as `makeweight.yaml`; none: nothing is stale.
    """
    if not changed:
        return decided
    named = ", ".join(f"`{each}`" for each in changed[:_NAMED])
    named += f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    why = f"{named} changed since this was decided"
    return replace(
        decided,
        verdict="inconclusive",
        sentence=f"stale: {why}. Run `dvc repro`, which runs what that touches and decides anew.",
        ship=None,
        variants=[replace(each, verdict="inconclusive", ships=False, sentence="stale") for each in decided.variants],
        rules=[*(outdated(each.variant, why) for each in decided.variants), *decided.rules],
    )
