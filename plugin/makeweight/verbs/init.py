"""`makeweight init`: a first makeweight.yaml, its stages in dvc.yaml, and a repository that DVC can work in."""

from __future__ import annotations

import shutil
from pathlib import Path

from makeweight.config import schema
from makeweight.layout import CONFIG, PIPELINE, SCHEMA, Layout
from makeweight.pipeline import dvcyaml, plots
from makeweight.pipeline.merge import merge
from makeweight.pipeline.parameters import add_missing
from makeweight.project.place import from_here, misnamed
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.starter import draft, repository, survey, workflows
from makeweight.starter.arguments import Given
from makeweight.starter.draft import arrays
from makeweight.starter.gather import gather, is_there
from makeweight.starter.workflows import Workflows
from makeweight_base import atomic
from makeweight_base.errors import ConfigError, Exit, UsageError
from makeweight_base.progress import Progress


def run(
    root: Path,
    given: Given,
    progress: Progress,
    *,
    force: bool = False,
    github: str | None = None,
    branch: str | None = None,
) -> Exit:
    """Set a folder up, or bring its dvc.yaml up to date with its makeweight.yaml. A second run changes nothing.

    With `github`, the Action's place, the workflows that use it are written as well, for the default branch `branch`.

    Raises:
        UsageError: what is given does not suffice or contradicts itself; nothing has been written then.
        EnvironmentFailed: DVC or the disk refuses.
    """
    repository.require_dvc()
    if not root.is_dir():
        raise UsageError("no such folder", where=str(root))
    layout = Layout(root)
    old_config, old_pipeline = repository.text(layout.config), repository.text(layout.pipeline)
    keeps = old_config is not None and not force
    if old_config is None and (told := misnamed(root)) is not None:
        raise told
    if old_config is not None and keeps:
        config = old_config
    else:
        config = draft.write(gather(root, given, old_pipeline, progress))
    config, added = add_missing(config, understand(config, CONFIG, root).name)
    project = understand(config, CONFIG, root)
    taken = dvcyaml.collisions(old_pipeline, lambda name: repository.text(root / name))
    if taken:
        raise ConfigError(taken)
    pipeline, changes = merge(old_pipeline, project, plots.drawn(project))
    if github is None and branch is not None:
        raise UsageError("a branch is named, and no workflow is asked for", where="--branch", do="Add --github.")
    planned = None if github is None else _workflows(root, project, github, branch)

    # From here on things are written, what is most easily refused first.
    said = []
    if repository.lacks_dvc(root):
        said.append(repository.start_dvc(root))
    if config != old_config:
        if keeps:
            said.append(f"{CONFIG}: added {', '.join(added)}, as assumed so far, because DVC wants to find it there")
        else:
            said.append(_kept_aside(layout.config))
        atomic.write_text(layout.config, config)
    elif keeps and given != Given():
        progress.say(f"{CONFIG}: kept as it is; what the call says is for a new one (`--force` writes it anew)")
    if SCHEMA in config.partition("\n")[0] and repository.text(layout.schema) != (described := schema.text()):
        atomic.write_text(layout.schema, described)
        said.append(f"{SCHEMA}: written; editors complete {CONFIG} by it")
    if pipeline != old_pipeline:
        repository.write_pipeline(layout.pipeline, old_pipeline, pipeline)
        said.append(f"{PIPELINE}: {'; '.join(changes)}")
    said += repository.ignore_what_is_made(root)
    if planned is not None:
        said += workflows.write(*planned)
    for line in said or [f"nothing to change: {CONFIG} and {PIPELINE} agree"]:
        progress.say(line)
    for line in _last_words(root, project, old_pipeline):
        progress.say(line)
    if planned is not None:
        progress.say(planned[1].last_words)
    return Exit.PASS


def _kept_aside(path: Path) -> str:
    """Copy what is about to be overwritten, and say so."""
    if not path.exists():
        return f"{CONFIG}: written; read it through, it says what each part is for"
    names = (f"{path.name}.bak{number or ''}" for number in range(1000))
    aside = next(place for name in names if not (place := path.with_name(name)).exists())
    atomic.write_bytes(aside, path.read_bytes())
    return f"{CONFIG}: written anew; the old one is {aside.name}"


def _workflows(root: Path, project: Project, where: str, branch: str | None) -> tuple[Path, Workflows]:
    """The top of the git repository, and what is to be written there."""
    top = repository.git_root(root)
    if top is None:
        raise UsageError(
            "workflows belong to a git repository, and there is none here",
            where="--github",
            do="Run `git init`, then run this again.",
        )
    return top, workflows.plan(top, root, project, where, survey.lock(root), branch)


def _last_words(root: Path, project: Project, pipeline: str | None) -> list[str]:
    """What is left to do, a line each; `pipeline` is the text of the user's own dvc.yaml."""
    said = []
    if repository.git_ignores(root, "reports/int8/evaluate.json"):
        said.append("warning: git ignores reports/, where metrics and the verdict belong; take it out of .gitignore")
    if repository.passes_git_over(root):
        said.append(
            "warning: DVC was begun here without git, and passes this repository over; run "
            "`dvc config --unset core.no_scm`"
        )
    if shutil.which("makeweight") is None:
        said.append("warning: the stages call `makeweight`, which is not on the PATH; activate its environment first")
    wanted = (*project.sources, *project.model.files, *project.data.places.values())
    absent = [path for path in dict.fromkeys(wanted) if not is_there(root, path, pipeline)]
    kind, npz = project.task.kind, project.data.npz or {}
    shapes = {path: f" ({arrays(project.model.inputs, split, kind)})" for split, path in npz.items()}
    said += [f"not there yet: {path}{shapes.get(path, '')}" for path in absent]
    if absent:
        them = "it" if len(absent) == 1 else "them"
        return [*said, f"next{from_here(root)}: put {them} there, or mend {CONFIG}; then: dvc repro"]
    return [*said, f"next{from_here(root)}: dvc repro"]
