"""Whether a run may still speak: a later one may have taken its place, and a check is the commit's, not the run's."""

from __future__ import annotations

from collections.abc import Iterable

from makeweight.forge.event import Event
from makeweight.github import check, pull
from makeweight.github.client import Client
from makeweight.github.pull import Pull


def successor(client: Client, event: Event, check_name: str | None, project_id: str) -> str | None:
    """What has taken this run's place, as a clause; None while it speaks for its pull request.

    Args:
        check_name: None where no check is kept, and the runs of one commit do not know of each other.

    Raises:
        ForgeFailed: it could not be asked.
    """
    if event.name != "pull_request" or event.repository is None or event.number is None:
        return None
    moved = moved_on(event, pull.now(client, event.repository, event.number))
    if moved is not None or check_name is None:
        return moved
    newer = check.newer_run(client, event, check_name, project_id)
    return None if newer is None else f"run {newer} is about the same commit, and newer"


def moved_on(event: Event, now: Pull) -> str | None:
    """How a pull request differs from what the run was started for."""
    if now.updated < event.updated:
        return None  # GitHub answers from before the event: it is the answer that is old
    if now.head != event.head:
        return f"the pull request is at {now.head[:7]} by now"
    if now.base_ref != event.base_ref:
        return f"the pull request goes to `{now.base_ref}` by now"
    return None


def shared(event: Event, pulls: Iterable[Pull]) -> list[Pull]:
    """Other open pull requests of the same commit into other branches: one's green check would be the other's too."""
    return [
        each
        for each in pulls
        if each.number != event.number and each.head == event.head and each.base_ref != event.base_ref
    ]
