"""`makeweight report`: decide on what was measured, and write the verdict and every form of the report."""

from __future__ import annotations

from dataclasses import replace

from makeweight import publish
from makeweight.decide import decide
from makeweight.evidence import disk
from makeweight.project.project import Project
from makeweight_base.errors import Exit
from makeweight_base.progress import Progress


def run(project: Project, progress: Progress) -> Exit:
    """Write verdict.json and the reports. The verdict does not show in the exit code: that is the gate's."""
    known = disk.collect(project)
    decided = decide(publish.terms(project), known.measurements, known.failed)
    publish.written(project, known, replace(decided, provenance=known.provenance))
    progress.say(f"{decided.sentence} Report: {project.layout.html.relative_to(project.layout.root)}")
    return Exit.PASS
