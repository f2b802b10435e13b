"""Where a run is: what happened there, and how its comment is kept, or left for a run that may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from makeweight.forge.event import Event
from makeweight.forge.kept import Done
from makeweight.github import comment, relay
from makeweight.github import event as events
from makeweight.github.client import Client
from makeweight.gitlab import client as gitlab
from makeweight.gitlab import event as pipelines
from makeweight.gitlab import note
from makeweight_base.progress import Progress


class Keeps(Protocol):
    """Lets a project's one comment on the change say `body`; without `opens` only where there is one."""

    def __call__(self, project_id: str, body: str, *, opens: bool) -> Done: ...


class Leaves(Protocol):
    """Leaves the comment in a folder, for a run that may write it."""

    def __call__(self, project_id: str, body: str, *, opens: bool) -> Path: ...


@dataclass(frozen=True)
class Forge:
    """GitHub, GitLab or neither."""

    event: Event
    github: Client | None = None
    """For what only GitHub has: checks, labels that decide, an issue."""
    keeps: Keeps | None = None
    """None: this run may not."""
    leaves: Leaves | None = None
    """None: nobody would come for it."""


def of(environment: Mapping[str, str], folder: Path, progress: Progress) -> Forge:
    """The forge that the runner's environment tells of.

    Args:
        folder: where a comment is left.

    Raises:
        UsageError: the runner's variables, or the event, cannot be used.
    """
    if pipelines.here(environment):
        return _gitlab(environment, progress)
    event, token = events.load(environment), environment.get("MAKEWEIGHT_TOKEN")
    client = Client(event.api, token, tell=progress.say) if token and event.repository else None
    keeps = partial(comment.put, client, event) if client is not None and not event.fork else None
    return Forge(event, client, keeps, partial(relay.write, folder, event))


def _gitlab(environment: Mapping[str, str], progress: Progress) -> Forge:
    event, token = pipelines.read(environment), environment.get("MAKEWEIGHT_GITLAB_TOKEN")
    if not token:
        return Forge(event)
    return Forge(event, keeps=partial(note.put, gitlab.Client(event.api, token, tell=progress.say), event))
