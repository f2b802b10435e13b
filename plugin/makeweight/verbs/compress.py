"""`makeweight compress VARIANT`: carry out a recipe on the baseline, and leave a model and its manifest."""

from __future__ import annotations

import shutil

from makeweight.artifact import artifact
from makeweight.compress.checkpoints import Checkpoints, origin, places
from makeweight.compress.curves import Curves, none
from makeweight.compress.make import make
from makeweight.compress.recipe import Variant
from makeweight.ignored import ignored
from makeweight.layout import BASELINE
from makeweight.project.project import Project
from makeweight_base import atomic
from makeweight_base.errors import Exit
from makeweight_base.progress import Progress


def run(project: Project, variant_name: str, progress: Progress) -> Exit:
    """A recipe that this model does not allow is data (a manifest that says so), and the other variants go on.

    Raises:
        UsageError: the baseline, the module or the data cannot be used; an extra is missing.
        EnvironmentFailed, OSError, MemoryError: the machine failed.
    """
    variant, layout = project.variant(variant_name), project.layout
    baseline = artifact.read(layout.artifact(BASELINE))
    checkpoints = _checkpoints(project, variant, baseline.sha256)
    curves = layout.curves(variant.name)
    shutil.rmtree(curves, ignore_errors=True)
    curves.mkdir(parents=True)
    if not variant.plan.trainings:
        none(curves)
    with atomic.replacing_folder(layout.artifact(variant.name)) as folder:
        shown = Curves(curves)
        make(variant, project.declared, baseline, folder, progress, checkpoints, shown, project.devices)
    later = [*project.variants.values()][[*project.variants].index(variant.name) + 1 :]
    checkpoints.hand_on({layout.trainings(heir.name): places(heir) for heir in later})
    return Exit.PASS


def _checkpoints(project: Project, variant: Variant, baseline: str | None) -> Checkpoints:
    if not variant.plan.trainings:
        return Checkpoints()
    ignored(project.root)
    return Checkpoints(project.layout.trainings(variant.name), origin(project.declared, project.sources, baseline))
