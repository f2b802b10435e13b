"""What a change alters of its own judgement, and the word of a reviewer that its base may ask for."""

from __future__ import annotations

from dataclasses import replace

from makeweight.decide.verdict import Review, Verdict


def reviewed(verdict: Verdict, review: Review) -> Verdict:
    """The verdict with what was altered; what would pass waits for the review that is asked for and still open.

    It is inconclusive then and not failed: no rule is broken, and what is missing is somebody's word.
    """
    if not review.open or verdict.verdict not in ("pass", "not_applicable"):
        return replace(verdict, review=review)
    first, *more = review.waiting
    others = f" and {len(more)} more" if more else ""
    return replace(
        verdict,
        verdict="inconclusive",
        ship=None,
        variants=[replace(each, ships=False) for each in verdict.variants],
        sentence=f"what is judged was altered and nobody has reviewed it: {first.sentence}{others}. But for that: "
        f"{verdict.sentence}",
        review=replace(review, ships=verdict.ship),
    )
