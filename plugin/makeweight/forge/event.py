"""What happened: the event that started a run."""

from __future__ import annotations

from dataclasses import dataclass

LOCAL = "local"
API = "https://api.github.com"
SERVER = "https://github.com"


@dataclass(frozen=True)
class Event:
    """One event, reduced to what decides how a run goes; in GitHub's words, whichever forge tells of it."""

    name: str
    """pull_request, push, merge_group, workflow_dispatch, schedule, workflow_run (the relay's) or local."""
    repository: str | None = None
    """owner/name of the repository that the run belongs to; a pull request's is the one it would be merged into."""
    head: str | None = None
    """The commit that a check is put on: never the merge commit that the runner makes of a pull request."""
    base: str | None = None
    """The commit that the event names as what was there before."""
    base_ref: str | None = None
    """The branch merged into or pushed to, without refs/heads/; none for a tag."""
    default_branch: str | None = None
    number: int | None = None
    """The pull request; in a merge group the one that its queue branch is named for."""
    fork: bool = False
    """Whether the commits come from another repository than theirs, or from one that is gone."""
    api: str = API
    server: str = SERVER
    run: str | None = None
    """The address of the run's page."""
    run_id: int = 0
    """Of two runs the newer has the larger."""
    attempt: int = 1
    """A run that is started again keeps its number, its event and its commit."""
    head_repository: str | None = None
    """owner/name of where the commits come from, for pull_request and workflow_run; None: it is gone."""
    cause: str | None = None
    """The event of the run that a workflow_run follows."""
    retargeted: bool = False
    """Whether a pull request was given another base just now."""
    updated: str = ""
    """When GitHub wrote down what a pull request was at this event: ISO 8601 in UTC."""

    @property
    def on_default_branch(self) -> bool:
        """Whether the run is of the default branch itself, and not of something that is to be merged into it."""
        merging = self.name in ("pull_request", "merge_group", "workflow_run")
        return not merging and self.base_ref is not None and self.base_ref == self.default_branch

    @property
    def has_landed(self) -> bool:
        """Whether what is judged is on the default branch already."""
        return self.name == "push" and self.on_default_branch
