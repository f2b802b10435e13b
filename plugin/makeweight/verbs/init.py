"""`makeweight init`: a first makeweight.yaml, its stages in dvc.yaml, and a repository that DVC can work in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from makeweight.layout import CONFIG, Layout
from makeweight_base.errors import ConfigError, Exit, UsageError

if TYPE_CHECKING:
    import argparse

    from makeweight.project.project import Project
    from makeweight.starter.gather import Given
    from makeweight.starter.workflows import Workflows
    from makeweight_base.progress import Progress

# The command line is built for every verb, so the rest is imported when this one is called.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("a PyTorch model")
    source.add_argument("--build", metavar="MODULE:CALLABLE", help="returns the torch.nn.Module")
    source.add_argument("--weights", metavar="FILE", help="its state dict, as torch.save writes it")
    file = parser.add_argument_group("or a model file")
    file.add_argument("--onnx", metavar="FILE", help="an ONNX model; its inputs are read from it")
    examples = parser.add_argument_group("its examples")
    examples.add_argument("--data", metavar="MODULE:CALLABLE", help="called with a split, returns its examples")
    examples.add_argument("--npz-test", metavar="FILE", help="arrays by input name, and `target`")
    examples.add_argument("--npz-calibration", metavar="FILE", help="arrays by input name, for static quantization")
    more = parser.add_argument_group("more")
    more.add_argument("--inputs", metavar="NAME=N,1,8,8", nargs="+", default=[], help="shapes; N is a free batch")
    more.add_argument("--task", help="classification (default), regression, or your own metric as module:callable")
    more.add_argument("--name", help="the project's name in reports (default: its folder's)")
    more.add_argument("--force", action="store_true", help=f"write {CONFIG} anew; the old one is kept beside it")
    more.add_argument(
        "--github",
        nargs="?",
        const="",  # asked for, with no place named: that is told in words
        metavar="OWNER/REPO[@REF]",
        help="write workflows that judge every pull request; where makeweight's Action is taken from",
    )


def given(arguments: argparse.Namespace) -> Given:
    """What `add_arguments` read."""
    from makeweight.starter.gather import Given

    names = ("build", "weights", "onnx", "data", "npz_test", "npz_calibration", "task", "name")
    return Given(inputs=tuple(arguments.inputs), **{name: getattr(arguments, name) for name in names})


def run(root: Path, given: Given, progress: Progress, *, force: bool = False, github: str | None = None) -> Exit:
    """Set a folder up, or bring its dvc.yaml up to date with its makeweight.yaml. A second run changes nothing.

    With `github`, the Action's place, the workflows that use it are written as well.

    Raises:
        UsageError: what is given does not suffice or contradicts itself; nothing has been written then.
        EnvironmentFailed: DVC or the disk refuses.
    """
    from makeweight.pipeline import dvcyaml, plots
    from makeweight.pipeline.merge import merge
    from makeweight.pipeline.parameters import add_missing
    from makeweight.project.reading import understand
    from makeweight.starter import draft, gather, repository
    from makeweight_base import atomic

    repository.require_dvc()
    if not root.is_dir():
        raise UsageError("no such folder", where=str(root))
    layout = Layout(root)
    old_config, old_pipeline = _text(layout.config), _text(layout.pipeline)
    keeps = old_config is not None and not force
    if old_config is not None and keeps:
        config = old_config
    else:
        config = draft.write(gather.gather(root, given, old_pipeline, progress))
    config, added = add_missing(config, understand(config, CONFIG, root).name)
    project = understand(config, CONFIG, root)
    taken = dvcyaml.collisions(old_pipeline, lambda name: _text(root / name))
    if taken:
        raise ConfigError(taken)
    pipeline, changes = merge(old_pipeline, project, plots.drawn(project))
    workflows = None if github is None else _workflows(root, project, github)

    # From here on things are written, what is most easily refused first.
    said = []
    if repository.dvc_root(root) is None:
        said.append(repository.start_dvc(root))
    if config != old_config:
        if keeps:
            said.append(f"{CONFIG}: added {', '.join(added)}, as assumed so far, because DVC wants to find it there")
        else:
            said.append(_kept_aside(layout.config))
        atomic.write_text(layout.config, config)
    elif keeps and given != gather.Given():
        progress.say(f"{CONFIG}: kept as it is; what the call says is for a new one (`--force` writes it anew)")
    if pipeline != old_pipeline:
        _write_pipeline(layout.pipeline, old_pipeline, pipeline)
        said.append(f"dvc.yaml: {'; '.join(changes)}")
    said += _ignore_files(root)
    if workflows is not None:
        said += _write_workflows(*workflows)
    for line in said or [f"nothing to change: {CONFIG} and dvc.yaml agree"]:
        progress.say(line)
    for line in _last_words(root, project, old_pipeline):
        progress.say(line)
    if workflows is not None:
        progress.say(workflows[1].last_words)
    return Exit.PASS


def _text(path: Path) -> str | None:
    """A file's text with its line endings as they are."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(path)) from error


def _kept_aside(path: Path) -> str:
    """Copy what is about to be overwritten, and say so."""
    if not path.exists():
        return f"{CONFIG}: written; read it through, it says what each part is for"
    names = (f"{path.name}.bak{number or ''}" for number in range(1000))
    aside = next(place for name in names if not (place := path.with_name(name)).exists())
    shutil.copy2(path, aside)
    return f"{CONFIG}: written anew; the old one is {aside.name}"


def _write_pipeline(path: Path, old: str | None, new: str) -> None:
    """Write dvc.yaml and have DVC itself read it; what it objects to is undone."""
    from makeweight.starter import repository
    from makeweight_base import atomic

    atomic.write_text(path, new)
    objection = repository.objection(path.parent)
    if objection is None:
        return
    if old is None:
        path.unlink()
    else:
        atomic.write_text(path, old)
    raise UsageError(
        f"DVC refuses the pipeline: {objection}",
        where="dvc.yaml",
        do="dvc.yaml is as it was before. Mend the part that is yours, then run `makeweight init` again.",
    )


def _workflows(root: Path, project: Project, where: str) -> tuple[Path, Workflows]:
    """The top of the git repository, and what is to be written there."""
    from makeweight.starter import repository, survey, workflows

    top = repository.git_root(root)
    if top is None:
        raise UsageError(
            "workflows belong to a git repository, and there is none here",
            where="--github",
            do="Run `git init`, then run this again.",
        )
    return top, workflows.plan(top, root, project, where, survey.lock(root))


def _write_workflows(top: Path, wanted: Workflows) -> list[str]:
    """Write those that are missing. One that is there is the user's, and stays."""
    from makeweight_base import atomic

    said = []
    for path, text in wanted.files.items():
        old = _text(top / path)
        if old is None:
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(top / path, text)
            said.append(f"{path.as_posix()}: written")
        elif old.replace("\r\n", "\n") != text:
            said.append(f"{path.as_posix()}: kept as it is; delete it to have it written anew")
    return said


def _ignore_files(root: Path) -> list[str]:
    from makeweight.starter import repository

    said = []
    if repository.git_root(root) is not None:
        wanted = [name for name in repository.CACHED if not repository.git_ignores(root, f"{name.strip('/')}/x")]
        if added := repository.ignore(root / ".gitignore", wanted, "made by the pipeline; DVC keeps them"):
            said.append(f".gitignore: added {' '.join(added)}")
    if added := repository.ignore(root / ".dvcignore", repository.LITTER, "no part of a source folder"):
        said.append(f".dvcignore: added {' '.join(added)}")
    return said


def _last_words(root: Path, project: Project, pipeline: str | None) -> list[str]:
    """What is not right yet, and the next command."""
    from makeweight.starter import repository
    from makeweight.starter.draft import arrays
    from makeweight.starter.gather import is_there

    said = []
    if repository.git_ignores(root, "reports/int8/evaluate.json"):
        said.append("warning: git ignores reports/, where metrics and the verdict belong; take it out of .gitignore")
    if shutil.which("makeweight") is None:
        said.append("warning: the stages call `makeweight`, which is not on the PATH; activate its environment first")
    npz = {path: split for split, path in (project.data.npz or {}).items()}
    wanted = [*project.sources, project.model.weights, project.model.onnx, *npz]
    absent = [path for path in dict.fromkeys(wanted) if path and not is_there(root, path, pipeline)]
    shapes = {path: f" ({arrays(project.model.inputs, split)})" for path, split in npz.items()}
    said += [f"not there yet: {path}{shapes.get(path, '')}" for path in absent]
    if absent:
        return [
            *said,
            f"next: put {'it' if len(absent) == 1 else 'them'} there, or mend {CONFIG}; then: dvc repro",
        ]
    return [*said, "next: dvc repro"]
