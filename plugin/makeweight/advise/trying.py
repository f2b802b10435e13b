"""Recipes without training are carried out, since that takes seconds: how large they are, what they lose, whether they
can be had at all."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from makeweight.advise.facts import TriedFacts, loses_shares
from makeweight.artifact.artifact import Manifest
from makeweight.compress.make import make
from makeweight.compress.recipe import Variant
from makeweight.compress.whole_split import WholeSplit
from makeweight.measure.patient import ModelGivenUp
from makeweight.project.project import Project
from makeweight.runtimes.runtime import RecipeFailed, Runtime
from makeweight.user.split import Split
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_base.progress import Progress, Silent

# Examples that a drop is counted on.
_COUNTED = 512


def tried(
    project: Project,
    baseline: Manifest,
    runtime: Runtime,
    variants: Mapping[str, Variant],
    validation: Split | None,
    seconds: float,
    progress: Progress,
) -> dict[str, TriedFacts]:
    """What each came to; those for which the time is up are not there.

    Args:
        variants: by rule of advice; all of the baseline's runtime, and none of them trains.
        seconds: no further one is begun after so many.
    """
    found: dict[str, TriedFacts] = {}
    began, count = time.monotonic(), _counting(project, runtime, baseline, validation)
    for name, variant in progress.over(variants.items(), "recipes without training", len(variants)):
        if time.monotonic() - began > seconds:
            break
        found[name] = _carried_out(project, baseline, variant, count)
    return found


def _counting(
    project: Project, runtime: Runtime, baseline: Manifest, validation: Split | None
) -> tuple[WholeSplit, int] | None:
    """What a drop is counted on; None: there are no targets, or what is lost is no share."""
    if validation is None or not loses_shares(project.task.kind):
        return None
    some = validation.draw(_COUNTED, project.seed)
    try:
        return WholeSplit(project.declared, runtime, baseline.made(), some), some.length()
    except (UsageError, ModelGivenUp):  # it has no targets, or the baseline never answers it
        return None


def _carried_out(
    project: Project, baseline: Manifest, variant: Variant, count: tuple[WholeSplit, int] | None
) -> TriedFacts:
    with tempfile.TemporaryDirectory(prefix="makeweight-advise-") as folder:
        try:
            made = make(variant, project.declared, baseline, Path(folder), Silent(), devices=project.devices)
        except (UsageError, EnvironmentFailed) as error:
            return TriedFacts(reason=" ".join(error.head.split()))
        if made.status == "failed":
            return TriedFacts(reason=" ".join(str(made.reason).split()))
        if count is None:
            return TriedFacts(None, made.size, made.size_compressed)
        whole, examples = count
        try:
            drop: float | None = whole.drop(made.made())
        except (RecipeFailed, UsageError):  # no figure of so few
            drop = None
        return TriedFacts(None, made.size, made.size_compressed, drop, examples)
