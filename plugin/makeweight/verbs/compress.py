"""`makeweight compress VARIANT`: carry out a recipe on the baseline, and leave a model and its manifest."""

from __future__ import annotations

from makeweight.artifact import artifact
from makeweight.compress.make import make
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
    with atomic.replacing_folder(layout.artifact(variant.name)) as folder:
        make(variant, project.declared, baseline, folder, progress)
    return Exit.PASS
