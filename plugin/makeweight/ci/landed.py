"""What has landed on its branch: its lock held against what was made of it, and brought up to date when asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from makeweight.ci import claimed, lock
from makeweight.ci.dvc import Dvc
from makeweight.ci.git import Git
from makeweight.decide.verdict import Verdict
from makeweight.layout import LOCK, Layout
from makeweight.pipeline import dvcyaml
from makeweight.pipeline.stages import SHIP
from makeweight.project.project import Project
from makeweight.shipping import shipped
from makeweight.shipping.shipped import NothingShips
from makeweight_base.errors import UsageError

BOT = {"NAME": "makeweight[bot]", "EMAIL": "makeweight[bot]@users.noreply.github.com"}
_SKIP = "[skip ci]"


def differing(root: Path, unchanged_since: str | None, git: Git, found: Verdict) -> dict[str, str]:
    """How the lock and the reports as they are committed differ from what was made here, by stage.

    Later changes start from both. Where nothing was made, nothing can have been measured either.

    Args:
        unchanged_since: the base whose artifacts and figures count, since nothing was made.
        found: what was reached of what was made here.
    """
    committed = git.read("HEAD", LOCK)
    path = root / LOCK
    short_of = lock.differing if unchanged_since is None else lock.idle
    differences = short_of(
        lock.stages(None if committed is None else committed.decode(errors="replace"), f"{LOCK} at HEAD"),
        lock.stages(path.read_text(encoding="utf-8") if path.exists() else None, LOCK),
    )
    if unchanged_since is None:
        if (told := claimed.otherwise(git, "HEAD", found)) is not None:
            differences[claimed.PLACE] = f"tells otherwise of {told}"
    elif not same_reports(git, unchanged_since, "HEAD"):
        reports = Layout(Path()).reports.as_posix()
        differences[f"{reports}/"] = "tells of measurements that were not made here"
    return differences


def only_seen_now(differing: Mapping[str, str]) -> bool:
    """Whether no later push is refused for it: the next is held against what this one leaves, and makes nothing where
    the lock tells of this commit, whatever outputs and figures it tells of."""
    return bool(differing) and not {lock.MISSING, lock.OUTDATED} & set(differing.values())


def remedy(unchanged_since: str | None) -> str:
    """What to do about that.

    Where nothing was made nobody can tell which of two reports is the true one, so a push that only puts right what was
    refused before is refused too. The one after it is held against what it left.
    """
    if unchanged_since is None:
        return (
            "Run `dvc repro && dvc push && git add dvc.lock reports && git commit` on this branch, or push once with "
            "`commit-lock: true` and `anew: true`: alone, `commit-lock` mends a push in that push's own run only."
        )
    return (
        "Nothing was made here that could show which is right. Where this push puts right what one before it was "
        "refused for, leave it: the next is held against it. Else take back what was there: "
        f"`git checkout {unchanged_since[:12]} -- {LOCK} {Layout(Path()).reports.as_posix()}`, commit and push."
    )


def same_reports(git: Git, one: str, other: str) -> bool:
    """Whether two commits hold the same figures and reports; the chart over commits is of neither."""
    at = Layout(Path())
    return git.same(one, other, at.reports.as_posix(), at.history.as_posix())


def take_over(project: Project, passes: bool, dvc: Dvc) -> str | None:
    """Have DVC take what was measured, reported and shipped here for its own.

    Returns why nothing shipped where the pipeline has a stage for that; what shipped before stays then.

    Raises:
        EnvironmentFailed: DVC or the disk refuses.
    """
    layout = project.layout
    asked = [f"device@{device}" for device in project.devices if layout.device(device).exists()]
    timed = [
        f"benchmark@{device}-{variant}"
        for device in project.devices
        for variant in project.variants
        if layout.timings(variant, device).exists()
    ]
    passed = ["gate"] if passes else []
    why = None
    if passes and _may_ship(project):
        why = _ship(project)
        passed += [SHIP] if why is None else []
    dvc.commit([*asked, *timed, "report", *passed])
    return why


def _may_ship(project: Project) -> bool:
    """Whether the pipeline has the stage."""
    path = project.layout.pipeline
    stages = (dvcyaml.read(path.read_text(encoding="utf-8")).data or {}).get("stages") if path.exists() else None
    return SHIP in (stages or {})


def _ship(project: Project) -> str | None:
    """Ship by the verdict that lies in the reports, which knows of no waiver by label; why not, where it does not."""
    try:
        shipped.gather(project.root)
    except (NothingShips, UsageError) as error:
        return error.what
    return None


def commit(git: Git, branch: str, head: str) -> str | None:
    """Commit the lock and the figures and push them; None when there was nothing to commit, or it went well.

    A push by the workflow's own token starts no workflow, and one by another token is told to by its message.
    """
    at = Layout(Path())
    made = git.commit(
        [path for path in (LOCK, at.reports.as_posix()) if (git.folder / path).exists()],
        f"Refresh dvc.lock and measurements of {head[:7]}\n\n{_SKIP}",
        BOT,
    )
    return None if made is None else git.push(branch)
