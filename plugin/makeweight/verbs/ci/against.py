"""What a run holds against what. Each phase finds it anew: what a phase before it noted lies where the model's own code
could write."""

from __future__ import annotations

from dataclasses import dataclass

from makeweight.ci import base as bases
from makeweight.ci import changed, handover, merge_base
from makeweight.ci.base import Base
from makeweight.ci.changed import Change
from makeweight.ci.tracked import Tracked
from makeweight.forge.event import LOCAL
from makeweight.project.project import Project
from makeweight.verbs.ci.run import Run


@dataclass(frozen=True)
class Compared:
    """A commit beside its base."""

    base: Base | None
    change: Change
    before: Tracked | None
    """What the base's commit holds; None where there is none."""
    now: Tracked

    def same(self, path: str) -> bool:
        """Whether a file, by its path from the project's folder, is at the base as it is here."""
        return self.before is None or self.before.commit.held(path) == self.now.commit.held(path)


def compare(run: Run, project: Project, sha: str | None) -> Compared:
    """The checkout beside the base, by what git holds of both.

    Raises:
        UsageError: the project's folder is not the commit's own, or a file that is judged by is not what that holds.
    """
    git = run.git()
    if run.event.name != LOCAL:
        git.require_own()
    with git.reading():
        handover.require_committed(run.root, git)
        base = None if sha is None else bases.read(sha, merge_base.branch(run.event, run.settings.base), git, run.root)
        before = None if sha is None or git.resolve(sha) is None else Tracked(git.commit_of(sha))
        now = Tracked(git.commit_of("HEAD"))
        return Compared(base, changed.change(project, base, before, now, anew=anew(run)), before, now)


def anew(run: Run) -> bool:
    """Whether everything is made and measured again, changed or not."""
    return run.settings.anew or run.event.name == "schedule"
