"""What the reports of a commit claim, held against what was made and measured of it.

A change that is merged is the base of those after it, and of a base its verdict.json is believed: the figures where
nothing changed, those that growth is counted from, which code ran, what it read and on how many examples. That the
model of a later change was there already is not (`Change.models`). To block a change for what it claims would have
everybody wait whose reports come from a machine that makes other bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from makeweight.ci.git import Git
from makeweight.decide import verdict
from makeweight.decide.verdict import Verdict
from makeweight.layout import Layout
from makeweight.user.ran import undeclared
from makeweight_base.errors import UsageError

PLACE = Layout(Path()).verdict.as_posix()
_MOST_TOLD = 3


def otherwise(git: Git, revision: str, found: Verdict) -> str | None:
    """What a commit's verdict.json tells otherwise than it was found, in few words, where a later change could get
    through by that; None where nothing is, or where there is none that anybody would believe.

    Figures of devices differ each time, and are not held against it.
    """
    content = git.read(revision, PLACE)
    try:
        claimed = None if content is None else verdict.loads(content.decode(errors="replace"), PLACE)
    except UsageError:
        return None
    told = [] if claimed is None else [*_facts(claimed.provenance, found.provenance), *_figures(claimed, found)]
    more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return f"{', '.join(told[:_MOST_TOLD])}{more}" if told else None


def brought(git: Git, base: str, found: Verdict) -> list[str]:
    """What to say of reports that a change brings with it, and that tell otherwise than it was found here.

    Args:
        base: the commit whose reports are not the change's own.
    """
    if git.read("HEAD", PLACE) == git.read(base, PLACE) or (told := otherwise(git, "HEAD", found)) is None:
        return []
    return [
        f"`{PLACE}` of this change tells otherwise of {told} than it was found here. It does not count here; once "
        "merged, later changes would start from it. Take the base's reports, or make them anew with `dvc repro`."
    ]


def _facts(told: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """What stands in its provenance. What it does not tell is measured, or told, by the change after it."""
    models = _mapping(known, "artifacts")
    claims = _mapping(told, "artifacts").items()
    if any(sha256 is not None and models.get(name) not in (None, sha256) for name, sha256 in claims):
        yield "the models"
    if _mapping(told, "failed").keys() - _mapping(known, "failed").keys():
        yield "recipes that failed"
    if told.get("code") is not None and _mapping(known, "code").keys() - _mapping(told, "code").keys():
        yield "the code that ran"
    # where one was told of a folder, others may have read fewer files in it, which are told one by one
    if told.get("read") is not None and undeclared(_mapping(told, "read"), _mapping(known, "read")):
        yield "the files that were read"
    if known.get("test_examples") not in (None, told.get("test_examples")):
        yield "the test examples"
    if None not in (told.get("pipeline"), known.get("pipeline")) and told["pipeline"] != known["pipeline"]:
        yield "the code around the models"


def _figures(claimed: Verdict, found: Verdict) -> Iterator[str]:
    """The figures that follow from the models and the examples alone."""
    here = {_measured(each): each.get("value") for each in found.measurements}
    for each in claimed.measurements:
        value, known = each.get("value"), here.get(_measured(each))
        exact = each.get("device") is None and each.get("comparison") != "regression"
        if exact and None not in (value, known) and value != known:
            yield f"`{each.get('metric')}` of `{each.get('variant')}`"


def _measured(figure: Mapping[str, Any]) -> tuple[str, ...]:
    """What it is a figure of, and of which model; as text, for what was committed may hold anything."""
    parts = ("metric", "variant", "device", "comparison", "slice", "control", "batch", "threads")
    return tuple(str(figure.get(name) or None) for name in parts)


def _mapping(provenance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = provenance.get(name)
    return found if isinstance(found, dict) else {}
