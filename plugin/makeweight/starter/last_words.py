"""What `makeweight init` leaves to do: what is not right yet, and the next command."""

from __future__ import annotations

import shutil
from pathlib import Path

from makeweight.layout import CONFIG
from makeweight.project.project import Project
from makeweight.starter import repository
from makeweight.starter.draft import arrays
from makeweight.starter.gather import is_there


def last_words(root: Path, project: Project, pipeline: str | None) -> list[str]:
    """A line each; `pipeline` is the text of the user's own dvc.yaml."""
    said = []
    if repository.git_ignores(root, "reports/int8/evaluate.json"):
        said.append("warning: git ignores reports/, where metrics and the verdict belong; take it out of .gitignore")
    if shutil.which("makeweight") is None:
        said.append("warning: the stages call `makeweight`, which is not on the PATH; activate its environment first")
    npz = {path: split for split, path in (project.data.npz or {}).items()}
    wanted = (*project.sources, *project.model.files, *npz)
    absent = [path for path in dict.fromkeys(wanted) if not is_there(root, path, pipeline)]
    shapes = {path: f" ({arrays(project.model.inputs, split)})" for path, split in npz.items()}
    said += [f"not there yet: {path}{shapes.get(path, '')}" for path in absent]
    if absent:
        return [*said, f"next: put {'it' if len(absent) == 1 else 'them'} there, or mend {CONFIG}; then: dvc repro"]
    return [*said, "next: dvc repro"]
