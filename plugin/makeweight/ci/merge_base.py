"""Which commit a change is held against: where its history left the branch that it goes to, or what was before it."""

from __future__ import annotations

from makeweight.ci.git import Git
from makeweight.forge.event import LOCAL, Event
from makeweight_base.errors import EnvironmentFailed, UsageError


def find(event: Event, git: Git, asked: str | None = None) -> str | None:
    """The sha to compare with; None when there is nothing before this.

    Args:
        asked: a branch of origin, or any other revision, to compare with instead of what the event names. The default
            branch itself is compared with what it was, whatever is asked.

    Raises:
        EnvironmentFailed: there is one, and it cannot be fetched.
        UsageError: there is nothing of the name that is asked for.
    """
    head = git.resolve("HEAD")
    if head is None:
        return None
    if asked is not None and not event.on_default_branch:
        # a tag that is called like the branch is not it; on a terminal, what is here is what is meant
        target = (None if event.name == LOCAL else git.tip(asked)) or git.resolve(asked)
        if target is None:
            raise UsageError(f"no revision `{asked}`, neither here nor as a branch of origin", where="--base")
        return git.merge_base(head, _obtained(git, target)) or target
    if event.name in ("schedule", "workflow_dispatch") and event.on_default_branch:
        return head  # what is measured now against what was measured when this commit was made
    parents, pushed = git.parents(head), event.name == "push"
    if event.name == "pull_request" and parents[1:] == [event.head]:
        # the merge that GitHub tries: its first parent is the branch as it is now
        if event.retargeted and parents[0] != event.base and parents[0] != git.tip(event.base_ref or ""):
            raise EnvironmentFailed(
                f"the merge that GitHub tries is not yet one into `{event.base_ref}`",
                where=f"{parents[0][:12]}, its first parent",
                do="Push again, or close and reopen the pull request: a run that is started again keeps its merge.",
            )
        return _obtained(git, parents[0])
    target = event.base if event.on_default_branch or not pushed else None
    if target is None and not (pushed and event.on_default_branch):
        target = _tip_of_default(event, git)
        if target is None:
            return None
    if target is None or (not git.obtain(target) and pushed):
        # what was before is not told, or is gone, as the branch was rewritten
        return _obtained(git, parents[0]) if parents else None
    # where the histories never met, or git cannot say where, the branch as it is: its budget is not to be had rid of
    return git.merge_base(head, _obtained(git, target)) or target


def branch(event: Event, asked: str | None = None) -> str | None:
    """What the base is called, where it has a name."""
    return asked if asked is not None and not event.on_default_branch else event.base_ref


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
