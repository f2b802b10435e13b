"""Make the artifacts of a change: those that differ from the base's, here; the others are the base's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from makeweight.ci import admission, base_artifacts, content, landed, lock
from makeweight.ci.base import Base
from makeweight.ci.changed import Change
from makeweight.ci.commit import SUBMODULE
from makeweight.ci.dvc import Dvc, Failed, gist
from makeweight.ci.git import Git
from makeweight.ci.state import State, remove
from makeweight.ci.tracked import Tracked
from makeweight.layout import CONFIG, LOCK, PIPELINE, Layout
from makeweight.nesting import upwards
from makeweight.pipeline import dvcyaml
from makeweight.project.project import Project
from makeweight.starter import repository
from makeweight_base import atomic
from makeweight_base.errors import ConfigError, EnvironmentFailed, Problem, UsageError
from makeweight_base.progress import Progress


def run(
    project: Project,
    base: Base | None,
    change: Change,
    now: Tracked,
    state: State,
    git: Git,
    dvc_in: Callable[[Path], Dvc],
    progress: Progress,
) -> State:
    """Leave `artifacts/`, `samples/` and `reports/` as this commit makes them, or as they were if nothing has to be.

    Args:
        change: what has to be made.
        now: what DVC tracks at this commit.

    Raises:
        ConfigError: dvc.yaml is not what it has to be.
        UsageError: DVC cannot work here, or what makeweight.yaml names is neither in the commit nor known to DVC.
        EnvironmentFailed: a stage failed for another reason than that its data are not at hand, or what came from
            storage is not what was stored.
    """
    layout = project.layout
    if repository.dvc_root(project.root) is None:
        raise UsageError(
            "this commit is no repository of DVC's: there is no folder .dvc",
            where=str(project.root.resolve()),
            do="Run `makeweight init`, and commit .dvc/config and .dvc/.gitignore with the rest.",
        )
    text = layout.pipeline.read_bytes().decode(errors="replace") if layout.pipeline.exists() else None
    admission.check(text, base.pipeline if base else None, project)
    _refuse_lost(project, now)
    own = _lock_of(project.root)
    committed = lay(project.root, base, git)
    if not change:
        count = len(project.variants) * len(project.devices)
        progress.say("nothing that makes artifacts differs from the base: its measurements decide")
        theirs = base.lock if base is not None else None
        notices = [] if theirs == own else _about_an_idle_lock(committed, lock.stages(theirs, LOCK))
        if base is not None and not landed.same_reports(git, base.sha, "HEAD"):
            notices.append(
                "Nothing here makes other artifacts than the base, and yet this change alters what was measured, "
                "under `reports/`. It does not count here, and is refused once merged. Take the base's "
                "reports, unless they were refused themselves and these are the right ones."
            )
        return replace(state, skipped=count, notices=[*state.notices, *notices])
    progress.say(f"to be made here: {change.why}")
    _refuse_empty(project, now)
    dvc = dvc_in(project.root)
    needed = {} if base is None else base_artifacts.needed(project, base)
    before = lock.stages(base.lock, f"{LOCK} of the base") if base is not None else {}
    stored, objection = _pulled(dvc, _made_at(before, change, needed.values()), change.tracked)
    if objection is not None:
        lacking = f"not all came from the DVC remote ({objection})" if stored else objection
        progress.say(f"{lacking}: what is not here is made again")
    if base is not None:
        base_artifacts.keep(project, base, needed)
        # DVC skips what it finds in the lock, and does not see all that changed
        atomic.write_text(project.root / LOCK, lock.joined(own, base.lock, without=change.stages))
    try:
        # With what is stored at hand, what has not changed need not be there; without it, all of it is made again.
        options = (["--pull"] if stored else []) + (["--allow-missing"] if objection is None else [])
        dvc.reproduce(lock.MAKING, *options)
    except Failed as failure:
        if objection is None or not stored:
            raise EnvironmentFailed(
                f"`{failure.command}` failed; its last lines:\n    " + failure.said.replace("\n", "\n    "),
                where="dvc",
                do="Mend what it says; `dvc repro` does the same on your machine.",
            ) from failure
        return replace(
            state,
            lacking=f"the artifacts could neither be brought from the DVC remote ({objection}) nor be made here "
            f"({gist(failure.said)})",
        )
    made = lock.stages((project.root / LOCK).read_text(encoding="utf-8"), LOCK)
    _refuse_unmade(project, made)
    _refuse_untrue(project.root, text or "", made, dvc, git)
    if base is not None and (absent := base_artifacts.lacking(project, base, change.models)):
        base_artifacts.make_again(project, base, absent, git, dvc_in, progress)
    brought = {name: entry for name, entry in committed.items() if entry != before.get(name)}
    return replace(state, notices=[*state.notices, *_about_the_lock(brought, made)])


def lay(root: Path, base: Base | None, git: Git) -> Mapping[str, object]:
    """Put the base's reports where the head's are, and write the joined lock. What was there is git's to keep.

    Returns the entries of the head's own lock.

    Raises:
        UsageError: a lock cannot be read.
    """
    layout, own = Layout(root), _lock_of(root)
    theirs = base.lock if base is not None else None
    head = lock.stages(own, LOCK)
    if theirs != own:
        lock.stages(theirs, f"{LOCK} of the base")
    for folder in (layout.reports, layout.artifact("x").parent, layout.outcomes("x").parent.parent):
        remove(folder)
    if base is not None:
        with git.reading():
            for name in git.files(base.sha, layout.reports.relative_to(root).as_posix()):
                content = git.read(base.sha, name)
                if content is not None:
                    atomic.write_bytes(root / name, content)
    entries = lock.joined(own, theirs)
    if entries != own:
        atomic.write_text(root / LOCK, entries)
    return head


def _lock_of(root: Path) -> str | None:
    path = root / LOCK
    return path.read_bytes().decode(errors="replace") if path.exists() else None


def _pulled(dvc: Dvc, stages: Sequence[str], tracked: Sequence[str]) -> tuple[bool, str | None]:
    """Bring what is stored: whether there is anywhere to bring it from, and why not all came, where it did not.

    Where nothing is wanted, nobody asks where from.

    Apart: of stages and paths that are named together, DVC (3.67) brings those of the last stage alone.
    """
    wanted = [targets for targets in (stages, tracked) if targets]
    objections = [said for targets in wanted if (said := dvc.pull(targets)) is not None]
    if not objections:  # a process of DVC's less than to ask for a remote first
        return bool(wanted), None
    if not dvc.has_remote():
        return False, "no DVC remote is configured"
    return True, objections[0]


def _made_at(before: Iterable[str], change: Change, needed: Collection[str]) -> list[str]:
    """The stages whose artifacts the base's lock names, without those that are made anew whatever is stored.

    Args:
        before: the stages of that lock.
        needed: the variants whose artifacts at the base are wanted all the same.
    """
    kept = {f"compress@{name}" for name in needed}
    making = [name for name in before if name.partition("@")[0] in lock.MAKING]
    return [name for name in making if name not in change.stages or name in kept]


def _refuse_lost(project: Project, now: Tracked) -> None:
    """DVC, told to let pass what is not here, lets pass what is gone for good: a deleted model would be the base's."""
    for path in project.named:
        if not now.has(now.commit.whole(path)):
            raise UsageError(
                f"`{path}` is neither in this commit nor among what DVC would make or bring",
                where=CONFIG,
                do="Commit it or its .dvc file, or name in makeweight.yaml what took its place.",
            )


def _refuse_empty(project: Project, now: Tracked) -> None:
    """A checkout leaves the folder of a submodule empty unless it is told to fetch it."""
    for path in project.named:
        whole = now.commit.whole(path)
        around = next((each for each in upwards(whole) if now.commit.mode(each) == SUBMODULE), None)
        if around is not None and not (project.root / path).exists():
            raise UsageError(
                f"`{path}` lies in the submodule `{around}`, which this checkout has not fetched",
                where=CONFIG,
                do="Give `submodules: true` to actions/checkout; elsewhere, run `git submodule update --init`.",
            )


def _refuse_unmade(project: Project, made: Mapping[str, Any]) -> None:
    """DVC runs what its templates stand for. Where `vars` of dvc.yaml took the variants from elsewhere, a stage of the
    change's own could have put anything in the place of those that were never made.

    Args:
        made: the entries of the lock as DVC left it.
    """
    if unmade := [name for name in lock.making(project.variants) if name not in made]:
        said = f"by this file DVC ran no stage {_few(unmade)}: what it calls the variants is not those of {CONFIG}"
        raise ConfigError(
            [Problem(PIPELINE, None, said)],
            do=f"Let `vars` load `{CONFIG}:variants,devices`, and no other file bring a `variants` of its own.",
        )


def _refuse_untrue(root: Path, pipeline_text: str, made: Mapping[str, Any], dvc: Dvc, git: Git) -> None:
    """What a change may alter (`.dvc/config`) says where DVC takes things from, and DVC looks at no content.

    Args:
        made: the entries of the lock as DVC left it.
    """
    if content.is_as_named(root, {name: made[name] for name in made if name.partition("@")[0] in lock.MAKING}):
        return

    def is_of_git(path: str) -> bool:
        # It needs no trust, and code may have left its caches beside it. But a file that git was made to hold beside
        # what DVC brought vouches for nothing.
        return git.tracked(path) and not Path(root, f"{path}.dvc").exists() and not dvcyaml.writes(pipeline_text, path)

    odd = [path for path in dvc.untrue(lock.MAKING) if not is_of_git(path)]
    if odd:
        raise EnvironmentFailed(
            f"what DVC brought as {', '.join(f'`{path}`' for path in odd[:4])} is not what dvc.lock names",
            where="dvc",
            do="The remote or the cache holds other content under that hash: look at .dvc/config, then push anew from "
            "where it is whole (`dvc push`).",
        )


def _about_the_lock(brought: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """What to say of artifacts that the change brings with it and that are not those made here."""
    others = [
        name for name, how in lock.differing(brought, made).items() if name in brought and how == lock.OTHER_OUTPUTS
    ]
    said = (
        f"The dvc.lock of this change names other outputs of {_few(others)} than are made here. "
        "What was made and measured here is what is judged."
    )
    return [said] if others else []


def _about_an_idle_lock(committed: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """What to say where nothing makes other artifacts than the base, and the lock is another all the same."""
    others = [*lock.idle(committed, base)]
    said = (
        f"Nothing here makes other artifacts than the base, and yet this change alters {_few(others)} in dvc.lock. "
        "It does not count here; once merged, later changes would start from it. Take the base's dvc.lock and reports."
    )
    return [said] if others else []


def _few(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
