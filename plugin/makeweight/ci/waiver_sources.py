"""Who lets a broken rule through: the base branch's own makeweight.yaml, or a label of somebody who may write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from makeweight.decide.waivers import Waiver
from makeweight.github.labels import REVIEWED, Label, is_for
from makeweight.project.project import Project

PREFIX = "waive:"
BUDGET = "budget"
"""What a waiver names that accepts a loosened budget as a whole."""
REVIEW = "review"
"""What a waiver of the base's file names that stands for a reviewer's word. No label is one: it names no commit."""
# A slice may be named anything, so only what can be a variant's name counts as one.
_NAME = re.compile(r"(?P<rule>.*?)(?:@(?P<variant>[A-Za-z0-9][\w-]*))?")
_DESCRIPTION = re.compile(r"\s*until\s+(?P<until>\d{4}-\d{2}-\d{2})(?!\d)\s*+[:,-]?+\s*(?P<reason>.*\S)\s*", re.DOTALL)


def of_file(project: Project, branch: str) -> list[Waiver]:
    """The waivers that a branch's makeweight.yaml declares."""
    source = f"makeweight.yaml on {branch}"
    return [Waiver(each.rule, each.variant, each.reason, each.until, source, standing=True) for each in project.waivers]


def of_labels(labels: Iterable[Label]) -> tuple[list[Waiver], list[str]]:
    """The waivers that labels give, and why others give none.

    A label `waive:latency_p50.max_ratio` has the description `until 2026-12-31: why`. One with `@variant` at its
    end holds for that variant alone.
    """
    found: list[Waiver] = []
    objections: list[str] = []
    for label in labels:
        if not label.name.startswith(PREFIX):
            continue
        named = _NAME.fullmatch(label.name.removeprefix(PREFIX).strip())
        given = _DESCRIPTION.fullmatch(label.description or "")
        until = _date(given["until"]) if given else None
        if not label.trusted:
            objections.append(_not_theirs(label))
        elif named is not None and named["rule"] == REVIEW:
            objections.append(
                f"The label `{label.name}` does not count: a review is of one commit, so the label is "
                f"`{REVIEWED}` and its 40 digits."
            )
        elif named is None or given is None or until is None:
            objections.append(
                f"The label `{label.name}` does not count: its description has to read `until YYYY-MM-DD: reason`."
            )
        else:
            found.append(Waiver(named["rule"], named["variant"], given["reason"], until, f"label by @{label.by}"))
    return found, objections


def review(labels: Iterable[Label], commit: str | None) -> tuple[str | None, list[str]]:
    """Whose word there is on this very commit, such as `label by @somebody`; and which labels are none."""
    by: str | None = None
    objections: list[str] = []
    for label in labels:
        if not label.name.startswith(REVIEWED):
            continue
        if is_for(label, REVIEWED, commit):
            by = f"label by @{label.by}"
        elif not label.trusted:
            objections.append(_not_theirs(label))
        else:
            objections.append(f"The label `{label.name}` does not count: it is for another commit.")
    return by, objections


def _not_theirs(label: Label) -> str:
    by = f"@{label.by}" if label.by else "the one who set it"
    return f"The label `{label.name}` does not count: {by} may not write to this repository."


def without_effect(lapsed: Iterable[Waiver], idle: Iterable[Waiver]) -> list[str]:
    """What to tell of waivers that let nothing through: those that have lapsed, and those that match nothing."""
    return [
        *(f"The waiver of {_of(each)} lapsed after {each.until} ({each.source}): {each.reason}" for each in lapsed),
        *(f"The waiver of {_of(each)} ({each.source}) matches no rule and variant." for each in idle),
    ]


def _of(waiver: Waiver) -> str:
    return f"`{waiver.rule}`" if waiver.variant is None else f"`{waiver.rule}` on `{waiver.variant}`"


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
