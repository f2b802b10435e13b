"""The base: the commit that a change is held against, and what was known there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeweight import measurement
from makeweight.ci.git import Git
from makeweight.decide import verdict
from makeweight.github.event import Event
from makeweight.layout import CONFIG, Layout
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight_base.errors import EnvironmentFailed, UsageError

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Base:
    """What the base commit holds. What it lacks is None: a pull request that brings makeweight finds nothing."""

    sha: str
    branch: str | None
    """The branch that the change goes to, where it is known."""
    project: Project | None
    lock: str | None
    pipeline: str | None
    """The text of dvc.yaml."""
    measurements: tuple[Measurement, ...]
    """All figures of its verdict.json, as they were accepted there."""
    provenance: Mapping[str, Any]
    """Of that verdict.json: the hashes of all that went in."""
    notices: tuple[str, ...] = ()
    """What of it could not be read."""

    @property
    def failed(self) -> Mapping[str, str]:
        """Why a recipe could not be carried out there, by variant."""
        return _mapping(self.provenance.get("failed"))

    @property
    def artifacts(self) -> Mapping[str, str | None]:
        """sha256 of the model files, by variant."""
        return _mapping(self.provenance.get("artifacts"))

    @property
    def name(self) -> str:
        """As it is told: `main`, or a short sha."""
        return self.branch or self.sha[:7]


def find(event: Event, git: Git) -> str | None:
    """The sha to compare with; None when there is nothing before this.

    Raises:
        EnvironmentFailed: there is one, and it cannot be fetched.
    """
    head = git.resolve("HEAD")
    if head is None:
        return None
    if event.name in ("schedule", "workflow_dispatch") and event.on_default_branch:
        return head  # what is measured now against what was measured when this commit was made
    if event.name == "pull_request":
        parents = git.parents(head)
        if len(parents) == 2 and parents[1] == event.head:
            # the merge that GitHub tries: its first parent is the branch as it is now
            return _obtained(git, parents[0])
    target = event.base
    if event.name == "push" and not event.on_default_branch:
        target = None
    if target is None and event.name == "push" and event.on_default_branch:
        parents = git.parents(head)
        return _obtained(git, parents[0]) if parents else None
    if target is None:
        target = _tip_of_default(event, git)
    if target is None:
        return None
    if not git.obtain(target) and event.name == "push":
        parents = git.parents(head)  # the branch was rewritten: what it was before is gone
        return _obtained(git, parents[0]) if parents else None
    # where the histories never met, or git cannot say where, the branch as it is: its budget is not to be had rid of
    return git.merge_base(head, _obtained(git, target)) or target


def _obtained(git: Git, sha: str) -> str:
    if not git.obtain(sha):
        raise EnvironmentFailed(
            f"the base commit {sha[:12]} is not here and cannot be fetched",
            where="git",
            do="Check out with `fetch-depth: 0`, or let the job read the repository (`contents: read`).",
        )
    return sha


def _tip_of_default(event: Event, git: Git) -> str | None:
    branch = event.default_branch
    remote, local = "refs/remotes/origin/", "refs/heads/"  # in full: a tag may have a branch's name
    usual = (f"{remote}HEAD", f"{remote}main", f"{remote}master", f"{local}main", f"{local}master")
    names = (f"{remote}{branch}", f"{local}{branch}") if branch else usual
    here = next((sha for name in names if (sha := git.resolve(name)) is not None), None)
    return git.tip(branch) if here is None and branch else here


def read(sha: str, branch: str | None, git: Git, root: Path) -> Base:
    """What is known at the base commit."""
    at = Layout(Path())
    notices: list[str] = []
    config, pipeline, lock = (_text(git, sha, name) for name in (CONFIG, "dvc.yaml", LOCK))
    project = None
    if config is not None:
        try:
            project = understand(config, f"{CONFIG} at {sha[:7]}", root)
        except UsageError as error:
            first = str(error).splitlines()[0]
            notices.append(f"The base's {CONFIG} cannot be used, so this pull request is judged by its own: {first}")
    decided = _verdict(git, sha, at.verdict.as_posix(), notices)
    figures: list[Measurement] = []
    facts: Mapping[str, Any] = {}
    if decided is not None:
        figures = [measurement.of(record) for record in decided.measurements]
        facts = decided.provenance
    return Base(
        sha,
        branch,
        project,
        lock,
        pipeline,
        tuple(figures),
        facts,
        tuple(notices),
    )


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _text(git: Git, sha: str, path: str) -> str | None:
    found = git.read(sha, path)
    return None if found is None else found.decode(errors="replace")


def _verdict(git: Git, sha: str, path: str, notices: list[str]) -> verdict.Verdict | None:
    text = _text(git, sha, path)
    if text is None:
        return None
    try:
        return verdict.loads(text, f"{path} at {sha[:7]}")
    except UsageError as error:
        notices.append(f"The base's measurements cannot be read and are not used: {error.what}.")
        return None
