"""When a pull request is commented on: what was asked for, held against what there is to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from makeweight.decide.verdict import Verdict

When = Literal["always", "on-change", "on-failure", "never"]
CHOICES: tuple[When, ...] = get_args(When)


def opens(when: When, verdict: Verdict | None) -> bool:
    """Whether a comment is begun where there is none. One that is there is kept up to date, whatever it says now.

    Args:
        verdict: None where none was reached.
    """
    if when == "never":
        return False
    if when == "always" or verdict is None:
        return True
    passes = verdict.verdict in ("pass", "not_applicable")
    return not passes or (when == "on-change" and not _as_before(verdict))


def _as_before(verdict: Verdict) -> bool:
    """Whether all there is to tell is that nothing changed, and passes."""
    from makeweight.report.standing import offences  # the command line is built for every call, and needs only names

    said = (*verdict.review.alterations, *verdict.notices, *offences(verdict))
    return verdict.verdict == "pass" and "measured_at" in verdict.provenance and not said
